"""Messages within Slack's limits, whatever they hold; and the same on the console."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.message import Button, Message, Section
from engine.edges.chat.console import text as console_text
from engine.edges.chat.slack.blocks import blocks, cut, escape, fallback, split
from engine.edges.chat.slack.names import channel_name
from engine.incidents.telling.gates import outline
from tests.harness_programs import program
from tests.unit.edges.chat.kit import Stage, golden
from worlds.slack.blocks import check_blocks
from worlds.slack.transcript import shown

_TEXT = st.text(max_size=60) | st.sampled_from(["&" * 4000, "<" * 3000, "x\n" * 3000, "``` a ```"])
_SECTION = st.builds(
    Section,
    text=_TEXT,
    fields=st.lists(st.tuples(st.text(min_size=1, max_size=9), _TEXT), max_size=13).map(tuple),
    code=_TEXT,
)
_BUTTON = st.builds(
    Button,
    text=st.text(min_size=1, max_size=90).filter(str.strip),
    action=st.uuids().map(str),
    value=st.text(min_size=1, max_size=30),
)
_MESSAGE = st.builds(
    Message,
    title=st.text(max_size=300).filter(lambda text: not text or bool(text.strip())),
    sections=st.lists(_SECTION, max_size=20).map(tuple),
    buttons=st.lists(_BUTTON, max_size=30).map(tuple),
    footer=st.text(max_size=50),
)


@settings(max_examples=25)
@given(_MESSAGE)
def test_any_message_fits(message: Message) -> None:
    check_blocks(blocks(message))
    assert 0 < len(fallback(message)) <= 4000
    assert Message.from_json(message.as_json()) == message
    console_text(message)


@settings(max_examples=40)
@given(st.text(alphabet="&<>ab\n", max_size=400), st.integers(10, 60))
def test_cutting_loses_nothing_and_halves_no_escape(text: str, most: int) -> None:
    escaped = escape(text)
    parts = split(escaped, most)
    assert all(len(part) <= most for part in parts)
    assert "".join("".join(parts).split("\n")) == "".join(escaped.split("\n"))
    for part in [*parts, cut(escaped, most).rstrip("…")]:
        bare = part.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
        assert "&" not in bare


@settings(max_examples=40)
@given(st.text(max_size=200), st.integers(1, 20))
def test_channel_names_are_slacks(wanted: str, number: int) -> None:
    name = channel_name(wanted, number)
    assert 0 < len(name) <= 80
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")


def test_a_plan_of_forty_thousand_characters_fits(stage: Stage) -> None:
    steps = [
        {"id": f"s{n}", "action": "toy.set", "with": {"name": f"n{n}", "value": "v" * 300}}
        for n in range(120)
    ]
    for n in range(120):
        stage.app.table.values[f"n{n}"] = "w" * 300
    stage.app.engine.programs["toys/raise"] = program(*steps, playbook="toys/raise")
    stage.alert()
    message = stage.message("Approval wanted")
    (file,) = next(one for one in stage.channel.messages if one.get("files"))["files"]
    assert len(file["content"]) > 40_000
    assert "s119" in file["content"]
    assert "The whole plan is the file" in shown(message)
    assert "and " in shown(message)
    assert len(stage.say(stage.alice, f"plan {stage.run.id}")) < 12_000
    stage.press(stage.alice, "Approval wanted", "approve")
    assert stage.state == "succeeded"


def test_an_outline_says_how_many_it_left_out() -> None:
    steps = [
        {"address": f"s{n}", "state": "planned", "summary": "x" * 200, "target": "t"}
        for n in range(30)
    ]
    text = outline({"steps": steps})
    assert len(text) < 2700
    assert text.endswith("more")


def test_the_console_shows_the_same() -> None:
    message = Message(
        title="Approval wanted: etl/failure-spike",
        sections=(
            Section("before the first change", (("Run", "run-1"), ("Wants", "1 of role sre"))),
            Section("What will happen:", code="  1 ~ up  toy.set\n      value: 1 → 5"),
        ),
        buttons=(Button("Approve", "approve"), Button("Reject", "reject")),
        footer="gate-1 of run-1",
        mentions=("sre",),
    )
    golden("console.txt", console_text(message) + "\n")
