"""What people type: read as words, never evaluated; mistakes are answered with the nearest and with candidates."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.errors import InvalidInput
from engine.edges.chat.grammar import nearest, read, split
from engine.edges.oncall.roster import Roster
from engine.edges.settings.escalation import EscalationConfig
from engine.journal.rows import BrakeRow
from tests.unit.edges.chat.kit import Stage, golden
from worlds.slack.transcript import transcript


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("status", ["status"]),
        ('run a/b why="two words" to=3', ["run", "a/b", "why=two words", "to=3"]),
        ("pause it's broken", ["pause", "it's", "broken"]),
        ("reject 'not now' later", ["reject", "not now", "later"]),
        ("run a/b why='a b'", ["run", "a/b", "why=a b"]),
        ('cancel r ""', ["cancel", "r", ""]),
        ("a\n b\tc", ["a", "b", "c"]),
        (
            r"say \n $(rm) `id` ${X} {{ 7*7 }}",
            ["say", r"\n", "$(rm)", "`id`", "${X}", "{{", "7*7", "}}"],
        ),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert split(text) == words


def test_phones_quotes_and_options() -> None:
    typed = read("run a/b \u201cwhy=two words\u201d --mode=auto --priority 9", ("mode", "priority"))
    assert typed.arguments == ("a/b", "why=two words")
    assert typed.options == {"mode": "auto", "priority": "9"}
    assert read("").word == "help"
    assert read("pause --really").arguments == ("--really",)
    for text, why in (
        ('run "a/b', "not closed"),
        ("run a/b --mod=auto", "there is no option --mod"),
        ("run a/b --mode", "needs a value"),
        ("x" * 5000, "at most"),
    ):
        with pytest.raises(InvalidInput, match=why):
            read(text, ("mode",))


@settings(max_examples=40)
@given(st.text(max_size=60))
def test_reading_never_raises_but_for_quotes(text: str) -> None:
    try:
        words = split(text)
    except InvalidInput:
        assert '"' in text or "'" in text
    else:
        assert all(not word or word in text or '"' in text or "'" in text for word in words)


def test_the_nearest() -> None:
    assert nearest("aprove", ["approve", "reject"]) == "approve"
    assert nearest("zzz", ["approve", "reject"]) is None


def test_mistakes_are_answered(stage: Stage) -> None:
    stage.alert()
    golden("unknown.txt", stage.say(stage.alice, "aprove"))
    golden("help.txt", stage.say(stage.alice, "help"))
    assert "/stanch approve GATE" in stage.say(stage.alice, "help approve")
    run = stage.run.id
    wrong = stage.say(stage.alice, "cancel run-nowhere")
    assert "no run is called 'run-nowhere'" in wrong
    assert run in wrong, "candidates are listed"
    stage.say(stage.bob, "run toys/raise to=9")
    several = stage.say(stage.alice, "cancel run-")
    assert "write more of it" in several
    assert "name a gate" in stage.say(stage.alice, "reject")
    near = stage.say(stage.alice, "run toys/rise to=3")
    assert "toys/raise" in near
    assert "not of the form name=value" in stage.say(stage.alice, "run toys/raise 3")
    assert "name a run" in stage.say(stage.alice, "retry")
    assert "say why" in stage.say(stage.alice, "pause")
    assert "viewer" in stage.say(stage.stranger, "status")
    assert "operator" in stage.say(stage.carol, "cancel " + run)


def test_nothing_that_is_typed_calls_or_links_or_runs(stage: Stage) -> None:
    stage.alert()
    answer = stage.say(stage.alice, "pause <!channel> <http://evil.test|here> {{ 7*7 }} & `id`")
    assert "engaged" in answer
    told = stage.say(stage.alice, "brakes")
    assert "&lt;!channel&gt; &lt;http://evil.test|here&gt; {{ 7*7 }} &amp; `id`" in told
    stage.say(stage.alice, "resume all well")
    assert "released" in stage.say(stage.alice, "brakes")


def test_looking_and_steering(stage: Stage) -> None:
    stage.alert()
    run = stage.run.id
    for text, shows in (
        ("status", "XLow (to=5)"),
        ("incidents", "P2 open"),
        ("runs", run),
        (f"show {run}", "Approval wanted"),
        (f"show {stage.incident.id}", "opened by rule x-low"),
        ("plan toys/raise to=5", "value: 1 → 5"),
        (f"plan {run}", "value: 1 → 5"),
        ("brakes", "no brake has ever been set"),
        ("withdraw", "has not voted"),
        (f"undo {run}", "cancel it first"),
        ("ack", "acknowledged by alice"),
        (f"cancel {run} not this one", run),
        (f"retry {run}", "does not apply"),
    ):
        assert shows in stage.say(stage.alice, text), text
    assert "XLow" in stage.say(stage.alice, "status", channel="C00000000")
    assert "not this one" in str(stage.channel.messages)


def test_who_is_on_call_now_and_next(stage: Stage, tmp_path: Path) -> None:
    """By a schedule file, whose turns change while the incident goes on; a schedule that is away says so."""
    stage.alert()
    assert "nobody is on call" in stage.say(stage.carol, "oncall")
    assert "viewer" in stage.say(stage.stranger, "oncall")
    rota = tmp_path / "rota.yaml"
    turns = "{people: [alice, bob], start: 2025-12-31T23:00:00Z, every: 2h}"
    rota.write_text(f"rotations: [{turns}]\n")
    config = EscalationConfig.model_validate(
        {
            "schedules": {
                "primary": {"file": str(rota)},
                "gone": {"file": str(tmp_path / "gone.yaml")},
            },
            "contacts": {
                "first": {"title": "Primary", "on_call": "primary"},
                "lead": {"title": "The lead", "ways": [{"webhook": "pager"}]},
                "data": {"title": "Data", "on_call": "gone"},
            },
            "chains": {
                "default": {
                    "steps": [{"contact": "first"}, {"contact": "lead"}, {"contact": "data"}]
                }
            },
        }
    )
    stage.app.roster = Roster(config, config.policy(), lambda *_given: None)
    golden("oncall.txt", stage.say(stage.carol, "oncall").replace(str(tmp_path), "FOLDER"))
    stage.clock.advance(3600)
    assert "primary: bob, then alice from 2026-01-01T03:00Z" in stage.say(stage.carol, "oncall")


def test_undo_by_command_is_gated_like_any_other(stage: Stage) -> None:
    stage.alert()
    stage.press(stage.alice, "Approval wanted", "approve")
    first = stage.run.id
    answer = stage.say(stage.alice, f"undo {first}")
    assert "a run of its own" in answer
    assert stage.state == "awaiting_approval"
    stage.press(stage.bob, "Approval wanted: undo", "approve")
    assert stage.app.table.values["x"] == 1


def test_an_incident_is_handled_without_leaving_its_channel(stage: Stage) -> None:
    stage.alert()
    incident = stage.incident.id
    for text, shows in (
        ("note the pool was full since 03:10", f"Noted in {incident}"),
        ("note", "an empty note says nothing"),
        (f"note {incident} and <!channel> {{{{ 7*7 }}}}", f"Noted in {incident}"),
        ("severity p0 customers see it", f"{incident} is open, P0"),
        ("severity P0", "say why"),
        ("severity", "name a severity"),
        ("severity P7 because", "P0"),
        ("role commander <@UBOB|bobby> he knows the pool", f"bob is commander of {incident}"),
        ("role scribe carol", f"carol is scribe of {incident}"),
        ("role king carol", "no role in an incident"),
        ("role scribe", "name a person"),
        ("escalate critical nobody answers", f"People are called about {incident} (critical)"),
        ("escalate loudly help", "no level of escalation"),
        ("reject not by a run", "alice reject"),
        ("resolve the pool was doubled", f"{incident} is resolved, P0"),
        ("reopen it is full again", f"{incident} is reopened, P0"),
    ):
        assert shows in stage.say(stage.alice, text), text
    assert "role operator" in stage.say(stage.stranger, "note hello")
    row = stage.app.store.read(lambda tx: tx.incidents.get(incident))
    assert row is not None
    assert row.body["roles"] == {"commander": "bob", "scribe": "carol"}
    (page,) = stage.app.store.read(lambda tx: tx.pages.list(open_only=False))
    assert (page.level, page.incident_id) == ("critical", incident)
    told = transcript(stage.channel)
    for text in ("the pool was full since 03:10", "P2 to P0", "customers see it", "he knows"):
        assert text in told
    assert "&lt;!channel&gt; {{ 7*7 }}" in told


def test_a_breaker_is_rearmed_by_who_may(stage: Stage) -> None:
    stage.alert()
    stage.app.store.write(
        lambda tx: tx.brakes.set(
            BrakeRow("breaker:toys/raise", True, "stanch", "3 failures in 1h", tx.now(), {})
        )
    )
    assert "3 failures in 1h" in stage.say(stage.alice, "brakes")
    assert "approver" in stage.say(stage.carol, "rearm breaker:toys/raise because")
    assert "name a brake" in stage.say(stage.alice, "rearm")
    assert "say why" in stage.say(stage.alice, "rearm breaker:toys/raise")
    answer = stage.say(stage.alice, "rearm breaker:toys/raise the exporter is mended")
    assert "breaker:toys/raise is re-armed by alice" in answer
    assert "the exporter is mended" in stage.say(stage.alice, "brakes")
