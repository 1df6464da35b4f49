"""What only some incidents come to, in Slack: the next role, broken glass, some of the items, a run that failed."""

from __future__ import annotations

from datetime import datetime

import pytest

from engine.domain.people import Actor
from engine.edges.calling import ActionMessenger
from engine.edges.chat.building import voices_of
from engine.incidents.calling import Calling
from engine.incidents.chains import Chain, Contact, Policy, Rung
from engine.incidents.escalation import Escalator, OnDuty
from engine.incidents.postmortem import due
from engine.incidents.postmortem.book import Request
from engine.running.services import ApprovalRule
from tests.unit.edges.chat.kit import Stage, told
from tests.unit.edges.chat.test_gates import EACH, WANTED
from worlds.slack.people import button
from worlds.slack.transcript import shown, transcript

ITEMS = {"each[a]", "each[b]", "each[c]"}


def each(stage: Stage) -> None:
    """A gate over three items waits."""
    stage.app.table.values |= {"a": 1, "b": 1, "c": 1}
    stage.app.engine.programs["toys/raise"] = EACH
    stage.alert()


def decide(stage: Stage, decision: str, items: list[str], comment: str = "") -> None:
    stage.press(stage.alice, WANTED, "decide")
    (_, view) = stage.slack.views[-1]
    given = stage.alice.submit(view, decision=f"={decision}", items=items, comment=comment)
    assert stage.post(given).is_success
    stage.settle()


def test_time_asks_the_next_role_and_the_old_buttons_are_dead(stage: Stage) -> None:
    stage.app.services.approval = ApprovalRule("sre", 1, 600.0, "escalate", ("sre", "lead"))
    stage.alert()
    first, seen = stage.gate, button(stage.message(WANTED), "approve")
    stage.pass_time(700, step=100)
    assert (stage.state, stage.gate.role) == ("awaiting_approval", "lead")
    closed = shown(stage.message("Asked of somebody else: toys/raise"))
    assert first.id in closed
    wanted = shown(stage.message(WANTED))
    assert "1 of role lead" in wanted
    assert "sre did not decide in time" in wanted
    assert "<!subteam^S0000SRE1>" in str(stage.message(WANTED)), "the next role is called"
    stage.post(stage.alice.pressed(stage.channel, seen))
    stage.settle()
    assert "Too late: this gate was asked of somebody else" in stage.answered
    stage.press(stage.alice, WANTED, "approve")
    assert "role lead" in stage.answered
    stage.press(stage.bob, WANTED, "approve")
    assert stage.state == "succeeded"


def test_broken_glass_is_shouted_in_the_channel_and_in_the_postmortem(stage: Stage) -> None:
    stage.app.commands.break_glass_role = "lead"
    stage.app.services.approval = ApprovalRule("sre", 2, 3600.0)
    stage.alert()
    gate = stage.gate
    words = f"glass {gate.id} {gate.fingerprint[:16]}"
    assert "role lead" in stage.say(stage.alice, f"{words} it burns")
    assert "say why" in stage.say(stage.bob, words)
    assert stage.state == "awaiting_approval"
    stage.say(stage.bob, f"{words} payroll stands still")
    assert stage.state == "succeeded"
    shout = shown(stage.message("BREAK-GLASS: toys/raise"))
    assert "bob (by slack) approved gate" in shout
    assert "alone: payroll stands still" in shout
    written = stage.app.book.make(
        stage.incident.id, Actor("alice", frozenset({"operator"})), Request(draw=False)
    )["text"]
    head, _, rest = written.partition("## ")
    assert "bob" in head + rest.split("\n## ")[0], "it stands at the top"
    assert "payroll stands still" in written


def test_some_items_are_rejected_and_the_others_go_ahead(stage: Stage) -> None:
    each(stage)
    decide(stage, "reject_these", ["each[b]"], "b is the customer's own")
    assert stage.state == "succeeded", stage.run.reason
    assert {name: stage.app.table.values[name] for name in "abc"} == {"a": 9, "b": 1, "c": 9}
    assert "b is the customer's own" in transcript(stage.channel)


@pytest.mark.parametrize("items", [[], sorted(ITEMS)])
def test_rejecting_none_or_all_of_the_items_is_asked_about(stage: Stage, items: list[str]) -> None:
    each(stage)
    decide(stage, "reject_these", items)
    assert "choose the items that you reject" in told(stage.channel.ephemeral[-1])
    assert stage.state == "awaiting_approval"
    assert stage.app.table.values["a"] == 1


def test_all_items_and_none(stage: Stage) -> None:
    each(stage)
    decide(stage, "approve", sorted(ITEMS))
    assert stage.state == "succeeded"
    assert {stage.app.table.values[name] for name in "abc"} == {9}


def test_a_form_without_items_offers_none(stage: Stage) -> None:
    stage.alert()
    stage.press(stage.alice, WANTED, "decide")
    assert "reject_these" not in str(stage.slack.views[-1])


def test_a_run_that_failed_is_retried_by_a_button(stage: Stage) -> None:
    stage.app.table.refuse.add("x")
    stage.alert()
    stage.press(stage.alice, WANTED, "approve")
    assert stage.state in {"failed", "needs_human"}
    ended = stage.run
    assert "x is refused" in transcript(stage.channel)
    stage.app.table.refuse.discard("x")
    stage.press(stage.carol, "Retry", "retry")
    assert "role operator" in stage.answered
    stage.press(stage.alice, "Retry", "retry")
    if stage.state == "awaiting_approval":
        stage.press(stage.bob, WANTED, "approve")
    assert stage.run.id == ended.id
    assert stage.state == "succeeded"
    assert stage.app.table.values["x"] == 5


def test_the_kill_switch_by_command_holds_what_is_approved(stage: Stage) -> None:
    stage.alert()
    assert "operator" in stage.say(stage.carol, "pause I am afraid")
    stage.say(stage.alice, "pause the exporter lies")
    stage.press(stage.alice, WANTED, "approve")
    assert stage.state == "held"
    assert stage.app.table.values["x"] == 1
    status = stage.say(stage.bob, "status", channel="C00000000")
    assert "kill engaged by alice" in status
    assert "the exporter lies" in status
    stage.say(stage.bob, "resume it was the cable")
    assert stage.state == "succeeded"
    assert "the exporter lies" in transcript(stage.channel), "why it was held stands in the channel"


def test_a_postmortem_by_command(stage: Stage) -> None:
    stage.alert()
    stage.press(stage.alice, WANTED, "approve")
    stage.say(stage.bob, "note the pool was full")
    stage.alert(status="resolved")
    assert "viewer" in stage.say(stage.stranger, "postmortem")
    answer = stage.say(stage.bob, "postmortem")
    for text in ("XLow (to=5)", "the pool was full", "Approved by alice", "stanch postmortem inc-"):
        assert text in answer, text
    assert "is called 'inc-nowhere'" in stage.say(stage.bob, "postmortem inc-nowhere")


@pytest.mark.parametrize(("severity", "every"), [("P0", 900), ("P1", 1800)])
def test_the_worse_it_is_the_more_often_people_are_told(
    stage: Stage, severity: str, every: int
) -> None:
    stage.alert()
    stage.say(stage.alice, f"severity {severity} customers see it")
    stage.say(stage.alice, "ack")
    stage.pass_time(2000)  # whatever rhythm it began with
    before = sum("Update:" in str(one) for one in stage.channel.messages)
    stage.pass_time(3600)
    after = sum("Update:" in str(one) for one in stage.channel.messages)
    assert after - before == 3600 // every


class Rota:
    """Nobody's: the contact is reached by the chat itself."""

    def who(self, schedule: str, at: datetime) -> OnDuty:
        raise AssertionError(f"{schedule} is asked at {at}")


def test_a_call_is_said_in_the_chat_until_somebody_takes_the_incident_up(stage: Stage) -> None:
    ops = stage.slack.add_channel("updates", "UADMIN", "UBOT")
    ways: tuple[dict[str, object], ...] = ({"chat": "incident"}, {"chat": "updates"})
    policy = Policy(
        chains={"default": Chain((Rung("first", 600.0),), 600.0)},
        contacts={"first": Contact("first", "First line", ways)},
    )
    stage.app.calling = Calling(policy)
    messenger = ActionMessenger(stage.app.registry, stage.app.world, voices_of(stage.app))
    escalator = Escalator(stage.app.store, policy, messenger, Rota())

    def pass_time(seconds: float) -> None:
        for _ in range(int(seconds // 60)):
            stage.clock.advance(60)
            while escalator.tick():
                pass
            stage.work()
        stage.settle()

    stage.alert()
    stage.say(stage.alice, "escalate critical nobody answers")
    pass_time(60)
    for channel in (stage.channel, ops):
        (call,) = [one for one in channel.messages if "calls First line" in str(one)]
        assert "nobody answers" in shown(call)
        assert "XLow (to=5)" in shown(call)
    pass_time(1300)
    called = [one for one in ops.messages if "calls First line" in str(one)]
    assert len(called) == 3, "again and again, every ten minutes"
    stage.say(stage.bob, "ack")
    pass_time(3600)
    assert len([one for one in ops.messages if "calls First line" in str(one)]) == 3
    assert "bob acknowledged the call" in transcript(stage.channel)


def test_a_postmortem_that_is_due_is_asked_for_in_the_channel(stage: Stage) -> None:
    stage.alert()
    incident = stage.incident.id
    stage.app.store.write(lambda tx: due.wants(tx, incident, 72 * 3600.0))
    stage.press(stage.alice, WANTED, "reject")
    stage.say(stage.alice, "resolve it was a test")
    assert "the postmortem is due by 2026-01-04T" in transcript(stage.channel)
    reminders = due.Reminders(stage.app.store, stage.app.calling)
    for hours, words in ((48, "in a day"), (24, "was due by"), (24, "a day ago")):
        stage.clock.advance(hours * 3600)
        assert reminders.tick() == 1
        stage.settle()
        assert words in shown(stage.message("reminded of the postmortem"))
    (page,) = stage.app.store.read(lambda tx: tx.pages.list())
    assert page.level == "critical", "who is late is called, and then louder"
