"""An incident as people live it in Slack, from the alert to the archived channel."""

from __future__ import annotations

from tests.unit.edges.chat.kit import Stage, golden
from worlds.slack.transcript import transcript


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
