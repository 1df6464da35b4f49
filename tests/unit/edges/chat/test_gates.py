"""Approvals in Slack: by button, by command, by form; by whom they are refused; and when it is too late."""

from __future__ import annotations

import pytest

from engine.running.services import ApprovalRule
from tests.harness_programs import program
from tests.unit.edges.chat.kit import Stage, golden
from worlds.slack.people import button
from worlds.slack.transcript import shown, transcript

WANTED = "Approval wanted"


def test_an_approval_by_command_names_the_plan(stage: Stage) -> None:
    stage.alert()
    gate = stage.gate
    assert "say which plan you saw" in stage.say(stage.alice, f"approve {gate.id}").lower()
    assert "too short" in stage.say(stage.alice, f"approve {gate.id} abc")
    assert "the plan has changed" in stage.say(stage.alice, f"approve {gate.id} {'0' * 16}").lower()
    assert stage.state == "awaiting_approval"
    answer = stage.say(stage.alice, f"approve {gate.id} {gate.fingerprint[:16]} looks right")
    assert "alice approve" in answer
    assert stage.state == "succeeded"
    assert "looks right" in transcript(stage.channel)


def test_two_people_and_the_second_sees_the_first(stage: Stage) -> None:
    stage.app.services.approval = ApprovalRule("sre", 2, 3600.0)
    stage.alert()
    stage.press(stage.alice, WANTED, "approve")
    assert stage.state == "awaiting_approval"
    assert "alice approved" in shown(stage.message(WANTED))
    stage.press(stage.alice, WANTED, "approve")
    assert stage.state == "awaiting_approval", "one person counts once"
    stage.press(stage.bob, WANTED, "approve")
    assert stage.state == "succeeded"


def test_who_may_not_is_told_why(stage: Stage) -> None:
    stage.alert()
    answer = stage.say(stage.alice, "run toys/raise to=7")
    assert "Started" in answer
    stage.press(stage.alice, WANTED, "approve")
    assert "another person must decide" in stage.answered
    stage.press(stage.carol, WANTED, "approve")
    assert "role sre" in stage.answered
    stage.press(stage.stranger, WANTED, "approve")
    assert "viewer" in stage.answered
    assert "slack:USTRANGE" in stage.answered
    assert stage.state == "awaiting_approval"
    stage.press(stage.bob, WANTED, "approve")
    assert stage.state == "succeeded"
    assert stage.app.table.values["x"] == 7


def test_a_group_of_slack_gives_its_role(stage: Stage) -> None:
    stage.app.services.approval = ApprovalRule("lead", 1, 3600.0)
    stage.alert()
    stage.press(stage.alice, WANTED, "approve")
    assert "role lead" in stage.answered
    stage.press(stage.bob, WANTED, "approve")
    assert stage.state == "succeeded"


def test_buttons_die_with_the_gate_and_a_late_press_is_told(stage: Stage) -> None:
    stage.alert()
    seen = button(stage.message(WANTED), "approve")
    stage.press(stage.bob, WANTED, "reject")
    assert stage.state == "cancelled"
    closed = stage.message("Rejected: toys/raise")
    with pytest.raises(LookupError):
        button(closed, "approve")
    stage.post(stage.alice.pressed(stage.channel, seen))
    stage.settle()
    assert "Too late: this gate was rejected at 2026-01-01T" in stage.answered
    assert "by bob" in stage.answered


def test_a_gate_that_expires_never_lets_through(stage: Stage) -> None:
    stage.alert()
    seen = button(stage.message(WANTED), "approve")
    stage.pass_time(3700)
    assert stage.state == "expired"
    assert "nobody decided in time" in shown(stage.message("Expired: toys/raise"))
    stage.post(stage.alice.pressed(stage.channel, seen))
    stage.settle()
    assert "Too late: this gate was expired" in stage.answered
    assert stage.app.table.values["x"] == 1


def test_a_world_that_drifted_is_asked_about_again_with_the_difference(stage: Stage) -> None:
    stage.alert()
    stage.app.table.values["x"] = 3
    stage.press(stage.alice, WANTED, "approve")
    assert stage.state == "awaiting_approval"
    golden("drift.txt", shown(stage.message(WANTED)))
    assert "the world drifted" in shown(stage.message("Void: toys/raise"))
    stage.press(stage.alice, WANTED, "approve")
    assert stage.state == "succeeded"


def test_a_form_takes_a_comment(stage: Stage) -> None:
    stage.alert()
    stage.press(stage.alice, WANTED, "decide")
    (_, view) = stage.slack.views[-1]
    assert stage.post(stage.alice.submit(view, decision="=reject", comment="not now")).is_success
    stage.settle()
    assert stage.state == "cancelled"
    assert "not now" in shown(stage.message("Rejected: toys/raise"))


def test_a_form_that_opens_too_late_says_so(stage: Stage) -> None:
    stage.alert()
    given = stage.alice.press(stage.channel, stage.message(WANTED), "decide")
    assert stage.post(given).is_success
    stage.clock.advance(5)
    stage.settle()
    assert "press the button again" in stage.answered


def test_a_manual_task_is_done_by_a_form(stage: Stage) -> None:
    stage.alert()
    stage.say(stage.alice, "run toys/ask --mode=auto")
    stage.press(stage.bob, "ring the data team", "done")
    (_, view) = stage.slack.views[-1]
    stage.post(stage.bob.submit(view, comment="rang them"))
    stage.settle()
    assert stage.state == "succeeded"
    assert "done by bob. rang them" in transcript(stage.channel)


def test_a_gate_can_be_shown_where_one_is(stage: Stage) -> None:
    stage.alert()
    answer = stage.say(stage.bob, f"show {stage.run.id}", channel="C00000000")
    assert WANTED in answer
    assert "[Approve]" in answer


EACH = program(
    {
        "id": "each",
        "action": "toy.set",
        "foreach": {"items": "{{ ['a', 'b', 'c'] }}", "key": "{{ item }}"},
        "with": {"name": "{{ item }}", "value": 9},
    },
    playbook="toys/raise",
)


def test_a_form_chooses_items_and_the_gate_is_asked_again_for_these(stage: Stage) -> None:
    stage.app.table.values |= {"a": 1, "b": 1, "c": 1}
    stage.app.engine.programs["toys/raise"] = EACH
    stage.alert()
    stage.press(stage.alice, WANTED, "decide")
    (_, view) = stage.slack.views[-1]
    kept = ["each[a]", "each[c]"]
    assert stage.post(stage.alice.submit(view, decision="=approve", items=kept, comment="not b"))
    stage.settle()
    assert stage.state == "succeeded", stage.run.reason
    assert stage.app.table.values == {"x": 1, "stuck": 1, "a": 9, "b": 1, "c": 9}
    assert "not b" in transcript(stage.channel)


def test_steering_by_command(stage: Stage) -> None:
    stage.alert()
    run, gate = stage.run.id, stage.gate
    stage.say(stage.alice, f"hold {run} let me look")
    assert stage.state == "held"
    assert "let me look" in transcript(stage.channel)
    stage.say(stage.alice, f"release {run}")
    assert stage.state == "awaiting_approval"
    for text, told in (
        (f"choose {gate.id} {gate.fingerprint} up", "STEP=KEY"),
        (f"choose {gate.id} {gate.fingerprint} up=a", "no items"),
        (f"glass {gate.id} {gate.fingerprint} it burns", "break"),
        (f"step {run}", run),
        (f"takeover {run} I do it", run),
        (f"handback {run} done by hand", run),
    ):
        assert told in stage.say(stage.alice, text), text


def test_a_run_without_an_incident_asks_in_the_home_channel(stage: Stage) -> None:
    home = stage.slack.add_channel("updates", "UADMIN", "UBOT")
    stage.app.services.approval = ApprovalRule("sre", 2, 3600.0)
    stage.post(stage.carol.command("run toys/raise to=6"))  # refused: says nothing here
    stage.post(stage.alice.command("run toys/raise to=4"))
    stage.settle()
    (wanted,) = home.messages
    assert WANTED in shown(wanted)
    stage.post(stage.alice.press(home, wanted, "approve"))
    stage.settle()
    assert "another person must decide" in stage.answered
    stage.post(stage.bob.press(home, wanted, "reject"))
    stage.settle()
    (closed,) = home.messages
    assert "by bob" in shown(closed)
    with pytest.raises(LookupError):
        button(closed, "approve")
    stage.restart()
    stage.pass_time(60)
    assert len(home.messages) == 1
