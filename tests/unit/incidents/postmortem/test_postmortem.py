"""Postmortems: golden documents, what people wrote is never lost, charts, secrets, reminders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from engine.domain.errors import ActionFailed, Category, InvalidInput, NotFound
from engine.domain.incident import Level
from engine.incidents import lifecycle
from engine.incidents.postmortem import due, sections
from engine.incidents.postmortem.charts import Chart, draw
from engine.incidents.postmortem.sections import parse
from tests.unit.incidents.postmortem.story import ALICE, BOB, INCIDENT, RUN, SECRET, Story

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    made = Story(tmp_path, masked=frozenset({"starforge"}))
    made.live()
    yield made
    made.store.close()


def held(name: str, text: str) -> None:
    """Hold a document to its golden file; STANCH_GOLDEN=1 writes it anew."""
    shown = re.sub(r"art-[0-9a-z]{16}", "art-X", re.sub(r"al-[0-9a-z]{16}", "al-X", text))
    path = GOLDEN / name
    if os.environ.get("STANCH_GOLDEN"):
        path.write_text(shown)
    assert shown == path.read_text()


@pytest.mark.parametrize(
    ("template", "format_"),
    [("postmortem", "md"), ("postmortem", "html"), ("batch-report", "md")],
)
def test_the_document(story: Story, template: str, format_: str) -> None:
    answer = story.make(template=template, format=format_, draw=False)
    held(f"{template}.{format_}", answer["text"])


def test_nothing_from_outside_is_markup_and_no_secret_comes_out(story: Story) -> None:
    for format_ in ("md", "html"):
        text = story.make(format=format_)["text"]
        assert "<script" not in text
        assert SECRET not in text
        assert "(secret)" in text
        assert "5000" not in text  # of a connection whose data is personal
        assert "(masked)" in text
        assert "BREAK-GLASS WAS USED" in text
        assert "payroll runs" in text


# ---------------------------------------------------------------- what people write


def edit(text: str, name: str, words: str) -> str:
    pattern = rf"(<!-- people: {name} -->\n).*?(\n<!-- /people: {name} -->)"
    found, count = re.subn(pattern, lambda m: f"{m[1]}{words}{m[2]}", text, flags=re.DOTALL)
    assert count == 1
    return found


def test_what_people_wrote_is_kept_whenever_it_is_made_again(story: Story) -> None:
    first = story.make(draw=False)["text"]
    mine = edit(first, "summary", "Ingestion stood for forty minutes.\n\n| no | table |")
    answer = story.make(given=mine, draw=False)
    assert (answer["changed"], answer["conflicts"], answer["version"]) == (["summary"], [], 1)
    story.note("step.outcome", address="late", state="failed", category="data", message="x")
    again = story.make(given=answer["text"], draw=False)
    assert "Ingestion stood for forty minutes.\n\n| no | table |" in again["text"]
    assert "of category `data`" in again["text"]
    assert (again["changed"], again["version"]) == ([], 1)
    # The other template knows the same blocks.
    assert "Ingestion stood" in story.make(template="batch-report", draw=False)["text"]
    kinds = [e.kind for e in story.store.read(lambda tx: tx.journal.read(INCIDENT))]
    assert kinds.count("postmortem.written") == 1


def test_two_people_in_different_blocks(story: Story) -> None:
    base = story.make(draw=False)["text"]
    story.make(given=edit(base, "summary", "by alice"), draw=False)
    answer = story.make(BOB, given=edit(base, "impact", "by bob"), draw=False)
    assert answer["conflicts"] == []
    assert "by alice" in answer["text"]
    assert "by bob" in answer["text"]


def test_two_people_in_one_block_lose_nothing(story: Story) -> None:
    base = story.make(draw=False)["text"]
    story.make(given=edit(base, "summary", "by alice"), draw=False)
    answer = story.make(BOB, given=edit(base, "summary", "by bob"), draw=False)
    assert answer["conflicts"] == ["summary"]
    assert (
        "<!-- conflict: saved by alice -->\nby alice\n<!-- conflict: your text -->\nby bob"
        in (answer["text"])
    )
    with pytest.raises(InvalidInput, match="conflicts are not settled yet in: summary"):
        story.make(BOB, given=answer["text"], draw=False)
    settled = story.make(BOB, given=edit(answer["text"], "summary", "by both"), draw=False)
    assert (settled["conflicts"], settled["changed"]) == ([], ["summary"])
    assert "by both" in story.make(draw=False)["text"]


def test_an_emptied_block_is_empty_again(story: Story) -> None:
    text = story.make(given=edit(story.make(draw=False)["text"], "impact", "much"), draw=False)
    emptied = story.make(given=edit(text["text"], "impact", ""), draw=False)
    assert "_Who noticed what" in emptied["text"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.split("\n", 1)[1], "its first line is missing"),
        (lambda text: text.replace(INCIDENT, "inc-other", 1), "is the postmortem of inc-other"),
        (
            lambda text: text.replace("<!-- /people: summary -->", ""),
            "a mark of people's blocks is missing or broken",
        ),
        (lambda text: text + "\n" + sections.block("summary", "again"), "stands twice"),
        (lambda text: edit(text, "summary", "x" * 100_001), "longer than 100,000"),
        (lambda text: edit(text, "summary", "<!-- people: impact -->"), "missing or broken"),
    ],
)
def test_documents_that_cannot_be_read_change_nothing(
    story: Story, change: Any, words: str
) -> None:
    text = edit(story.make(draw=False)["text"], "impact", "much")
    with pytest.raises(InvalidInput, match=words):
        story.make(given=change(text), draw=False)
    assert "much" not in story.make(draw=False)["text"]


def test_marks_inside_what_is_stored_lose_their_meaning() -> None:
    text = sections.head(INCIDENT, 0) + "\n" + sections.block("summary", "<!-- people: impact -->")
    assert parse(text, INCIDENT).blocks["summary"] == "&lt;!-- people: impact -->"


# ---------------------------------------------------------------- a team's own template


def test_a_teams_own_template_comes_first(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "postmortem.md.j2").write_text(
        "{{ head }}\nOurs: {{ incident.id }} {{ people('x') }}"
    )
    story = Story(tmp_path, templates=folder)
    story.open()
    assert story.make(draw=False)["text"].startswith(
        f"<!-- postmortem {INCIDENT} version 0 -->\nOurs"
    )
    assert "# Batch" in story.make(template="batch-report", draw=False)["text"]
    story.store.close()


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ incident.id", r"the template postmortem\.md\.j2:1 has a mistake"),
        ("{{ nonsense }}", "'nonsense' is undefined"),
        ("{{ ().__class__.__mro__ }}", "unsafe"),
        ("{{ incident.update({'a': 1}) }}", "unsafe|not safely"),
        ("{% include '/etc/passwd' %}", "there is no template"),
        ("{{ 1 / 0 }}", "fails: division by zero"),
    ],
)
def test_templates_with_mistakes_and_ill_will(tmp_path: Path, template: str, words: str) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "postmortem.md.j2").write_text(template)
    story = Story(tmp_path, templates=folder)
    story.open()
    with pytest.raises((InvalidInput, NotFound), match=words):
        story.make(draw=False)
    story.store.close()


def test_a_template_that_is_not_there(story: Story) -> None:
    for name in ("x", "../postmortem", "/etc/passwd"):
        with pytest.raises(NotFound, match="there are: batch-report, postmortem"):
            story.make(template=name, draw=False)
    with pytest.raises(NotFound, match="there are: postmortem"):
        story.make(template="batch-report", format="html", draw=False)


# ---------------------------------------------------------------- charts


class Metrics:
    def __init__(self, trouble: bool = False) -> None:
        self.trouble = trouble
        self.asked: list[tuple[str, str]] = []

    def series(self, connection: str, query: str, params: Any, start: Any, end: Any) -> Any:
        del params, start, end
        self.asked.append((connection, query))
        if self.trouble:
            raise ActionFailed(Category.TRANSIENT, "away")
        return {
            "times": ["2026-11-23T03:00:00Z", "2026-11-23T03:05:00Z"],
            "series": [{"name": "a", "values": [1.0, None]}, {"name": "b", "values": [2, 3]}],
        }

    def of_alert(self) -> str | None:
        return "metrics"


PROGRAM = (
    '{"steps":[{"verify":{"query":{"connection":"metrics","query":"rate($ns)",'
    '"params":{"ns":"{{ inputs.namespace }}"}}}},{"wait":{"query":{"connection":"metrics",'
    '"query":"late","params":{"x":"{{ steps.a.value }}"}}}}]}'
)


def test_charts_of_what_was_seen_and_what_is_asked_again(tmp_path: Path) -> None:
    metrics = Metrics()
    story = Story(tmp_path, series=metrics)
    story.live()
    story.write(lambda tx: tx.blobs.put_program("d1", PROGRAM))
    answer = story.make()
    assert sorted(answer["charts"]) == ["chart-1.svg", "chart-2.svg"]
    assert metrics.asked == [("metrics", "rate($ns)")]  # the other hung on what the run knew
    assert "![chart-1](chart-1.svg)" in answer["text"]
    first = answer["charts"]["chart-1.svg"]
    assert "verification of memory (wanted &lt; 1)" in first
    assert "1 opened" in first
    assert "memory" in first
    assert answer["charts"] == story.make()["charts"]  # the same to the letter
    html = story.make(format="html")["text"]
    assert html.count("<svg") == 2
    assert "<script" not in html
    story.store.close()


def test_metrics_that_are_away_leave_their_chart_out(tmp_path: Path) -> None:
    story = Story(tmp_path, series=Metrics(trouble=True))
    story.live()
    story.write(lambda tx: tx.blobs.put_program("d1", PROGRAM))
    assert list(story.make()["charts"]) == ["chart-1.svg"]
    story.store.close()


def test_a_chart_is_an_svg_without_anything_that_acts() -> None:
    chart = Chart(
        "</title><script>alert(1)</script> $x$ \u0000",
        ["2026-11-23T03:00:00Z", "2026-11-23T03:01:00Z"],
        [("<b>", [1.0, float("inf")]), ("short", [None])],
    )
    svg = draw(chart, [("2026-11-23T03:00:30Z", "<script>")])
    root = ElementTree.fromstring(svg)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"script", "foreignObject", "image", "a"}
    assert "$x$" in "".join(root.itertext())


# ---------------------------------------------------------------- due


def row(story: Story) -> Any:
    return story.store.read(lambda tx: tx.postmortems.get(INCIDENT))


def test_it_is_due_after_the_incident_is_over(story: Story) -> None:
    found = row(story)
    assert (found.due_at - story.clock.now()).total_seconds() == 72 * 3600
    reminders = due.Reminders(story.store, story.caller)
    assert reminders.tick() == 0
    story.after(48 * 3600)
    assert reminders.tick() == 1
    assert reminders.tick() == 0
    assert story.store.read(lambda tx: tx.pages.list()) == []
    story.after(24 * 3600)
    assert reminders.tick() == 1
    (page,) = story.store.read(lambda tx: tx.pages.list())
    assert (page.subject, page.level) == (f"postmortem:{INCIDENT}", Level.WARNING)
    story.after(24 * 3600)
    assert reminders.tick() == 1
    (page,) = story.store.read(lambda tx: tx.pages.list())
    assert page.level == Level.CRITICAL
    story.after(100 * 3600)
    assert reminders.tick() == 0
    told = [
        e.body["reason"]
        for e in story.store.read(lambda tx: tx.journal.read(INCIDENT))
        if e.kind == "postmortem.reminded"
    ]
    assert [re.sub(r"2026-\S+Z", "T", text) for text in told] == [
        "the postmortem is due by T, in a day",
        "the postmortem was due by T",
        "the postmortem was due by T, a day ago",
    ]


def test_publishing_ends_the_reminders_and_writes_the_decisions_log(story: Story) -> None:
    text = edit(story.make(draw=False)["text"], "root_cause", "memory | limit\ntoo low")
    answer = story.make(given=text, publish=True, draw=False)
    assert answer["state"] == "published"
    ((fields, key),) = story.decided
    assert (fields["OPERATOR"], fields["CAUSE"]) == ("alice", "memory | limit too low")
    assert key == f"postmortem-{INCIDENT}"
    assert " | CAUSE=memory / limit too low | " in answer["decision"]
    story.after(100 * 3600)
    assert due.Reminders(story.store, story.caller).tick() == 0
    assert row(story).next_at is None


def test_an_incident_that_comes_again_is_due_later(story: Story) -> None:
    story.write(lifecycle.reopen_by, INCIDENT, ALICE, "it is back")
    assert (row(story).due_at, row(story).next_at) == (None, None)
    story.after(3600)
    story.store.write(story._resolved)
    assert (row(story).due_at - story.clock.now()).total_seconds() == 72 * 3600


def test_without_a_playbook_that_wants_one_nothing_is_due(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.open()
    story.write(lambda tx: tx.incidents.update(INCIDENT, body={}))
    story.store.write(story._resolved)
    assert row(story) is None
    answer = story.make(draw=False)
    assert (answer["state"], answer["due_at"]) == ("none", None)
    assert RUN not in answer["decision"]
    story.store.close()
