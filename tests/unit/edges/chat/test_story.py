"""An incident as people live it in Slack, from the alert to the archived channel."""

from __future__ import annotations

from actions.slack import SlackMessage, SlackUpdate
from engine.incidents.lifecycle import reopen
from tests.harness_programs import program
from tests.unit.edges.chat.kit import Stage, golden
from worlds.slack.transcript import shown, transcript


def test_a_whole_incident(stage: Stage) -> None:
    stage.alert(runbook_url="https://runbooks.internal/x-low")
    golden("waiting.txt", transcript(stage.channel))
    stage.press(stage.alice, "Acknowledge", "ack")
    assert stage.incident.state.value == "acknowledged"
    stage.pass_time(1900)
    stage.press(stage.alice, "Approval wanted", "approve")
    assert stage.state == "succeeded"
    assert stage.app.table.values["x"] == 5
    stage.alert(status="resolved")
    assert stage.incident.state.value == "resolved"
    golden("resolved.txt", transcript(stage.channel))


def test_updates_come_by_the_clock_and_a_silent_commander_is_called(stage: Stage) -> None:
    stage.alert()
    before = len(stage.channel.messages)
    stage.pass_time(1700)
    assert len(stage.channel.messages) == before, "nothing happened and the time has not come"
    stage.pass_time(200)
    golden("update.txt", "\n\n".join(shown(one) for one in stage.channel.messages[before:]) + "\n")
    stage.press(stage.alice, "Nobody has taken this up", "ack")
    before = len(stage.channel.messages)
    stage.pass_time(3600, step=60)
    updates = [m for m in stage.channel.messages[before:] if "Update:" in str(m)]
    assert len(updates) == 2
    assert "Nobody has taken" not in str(stage.channel.messages[before:])


def test_a_clock_that_was_away_makes_up_for_no_updates(stage: Stage) -> None:
    stage.alert()
    stage.clock.advance(10 * 3600)
    stage.settle()
    assert sum("Update:" in str(one) for one in stage.channel.messages) == 1
    stage.clock.advance(-3 * 3600)
    stage.settle()
    stage.pass_time(600)
    assert sum("Update:" in str(one) for one in stage.channel.messages) == 1


def test_a_closed_incident_is_archived_and_a_new_alert_opens_a_channel_of_its_own(
    stage: Stage,
) -> None:
    stage.alert()
    stage.press(stage.bob, "Approval wanted", "reject")
    answer = stage.say(stage.alice, "close it was a test")
    assert "closed" in answer
    assert "it was a test" in transcript(stage.channel)
    first = stage.channel
    stage.pass_time(23 * 3600, step=3600)
    assert [one.archived for one in stage.slack.channels.values()] == [False]
    stage.pass_time(2 * 3600, step=600)
    assert [one.archived for one in stage.slack.channels.values()] == [True]
    said = len(first.messages)
    stage.app.store.write(lambda tx: reopen(tx, stage.incident.id, "it fires again"))
    stage.settle()
    (second,) = (one for one in stage.slack.channels.values() if one is not first)
    assert second.name == f"{first.name}-2"
    assert "P2 reopened" in transcript(second)
    assert len(first.messages) == said


def test_a_run_tells_people_by_its_actions(stage: Stage) -> None:
    ops = stage.slack.add_channel("updates", "UADMIN", "UBOT")
    assert ops.id == "C00000001"
    tell = program(
        {
            "id": "tell",
            "action": "slack.message",
            "with": {"text": "x is low <!channel>", "fields": {"To": "up to {{ inputs.to }}"}},
        },
        {
            "id": "ask",
            "kind": "gate",
            "role": "sre",
            "approvals": 1,
            "within": 600,
        },
        {
            "id": "customers",
            "action": "slack.message",
            "with": {"channel": "updates", "text": "We are on it."},
        },
        {
            "id": "better",
            "action": "slack.update",
            "with": {"of": "{{ steps.tell.message }}", "text": "x is being raised"},
        },
        playbook="toys/raise",
    )
    stage.app.engine.programs["toys/raise"] = tell
    for action in (SlackMessage, SlackUpdate):
        stage.app.registry.add("slack", action)
    stage.alert()
    assert "&lt;!channel&gt;" in transcript(stage.channel)
    wanted = shown(stage.message("Approval wanted"))
    assert "Draft of customers to updates:\n```\nWe are on it." in wanted
    assert not ops.messages
    stage.press(stage.alice, "Approval wanted", "approve")
    assert stage.state == "succeeded", stage.run.reason
    (told,) = ops.messages
    assert told["text"] == "We are on it."
    assert "x is being raised" in transcript(stage.channel)
    assert "x is low" not in transcript(stage.channel)
