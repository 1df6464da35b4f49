"""What Slack does to messages: limits, outages, answers that are lost. The run never waits, nothing comes twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import pytest

from engine.domain.people import Actor
from engine.edges.chat.building import chat_of
from engine.edges.chat.slack.client import METHODS
from engine.edges.desk.people import actor_of_slack
from engine.journal.parcels import Delivery, Settled
from engine.journal.store import Tx
from tests.unit.edges.chat.kit import Stage
from worlds.slack.transcript import transcript


def keys(stage: Stage) -> list[str]:
    return [
        one["metadata"]["event_payload"]["key"]
        for one in stage.channel.messages
        if "metadata" in one
    ]


def assert_told_once(stage: Stage) -> None:
    """Every post that was handed in is in the channel, once, in its order."""
    found = keys(stage)
    assert found == sorted(set(found), key=found.index)
    order = [tuple(map(int, key.split("/")[1:])) for key in found]
    assert order == sorted(order)
    assert not stage.app.store.read(lambda tx: tx.outbox.waiting(stage.incident.id))


def test_slack_is_away_for_an_hour_and_the_incident_goes_on(stage: Stage) -> None:
    stage.slack.down = True
    stage.alert()
    gate = stage.gate
    stage.app.commands.approve(gate.id, _alice(stage), "", gate.fingerprint)
    stage.pass_time(3600)
    assert stage.state == "succeeded"
    assert not stage.slack.channels
    ((lane, why),) = stage.app.store.read(lambda tx: tx.outbox.troubles())
    assert lane == stage.incident.id
    assert "cannot be reached" in why
    stage.slack.down = False
    stage.pass_time(120, step=1)
    assert_told_once(stage)
    text = transcript(stage.channel)
    assert "Approval wanted" not in text, "buttons that died long ago are never shown alive"
    assert "Approved: toys/raise" in text
    assert "up succeeded" in text


def test_a_storm_of_429_is_waited_out_in_order(stage: Stage) -> None:
    for method in ("conversations.create", "chat.postMessage", "chat.update", "pins.add"):
        stage.slack.fault(method, *["429 7"] * 4)
    stage.alert()
    stage.press(stage.alice, "Approval wanted", "approve")
    stage.settle(600)
    assert stage.state == "succeeded"
    assert_told_once(stage)
    refused = [at for method, at in stage.slack.refused_at if method == "chat.postMessage"]
    assert all(later - earlier >= 7 for earlier, later in pairwise(refused))


@pytest.mark.parametrize("fault", ["lost", "dropped", "500", "internal_error"])
@pytest.mark.parametrize(
    "method", ["conversations.create", "chat.postMessage", "bookmarks.add", "pins.add"]
)
def test_an_answer_that_is_lost_is_asked_about(stage: Stage, method: str, fault: str) -> None:
    stage.slack.fault(method, fault, fault)
    stage.alert(runbook_url="https://runbooks.internal/x")
    stage.settle(300)
    assert len(stage.slack.channels) == 1
    assert len(stage.channel.bookmarks) == 2
    assert len(stage.channel.pins) == 1
    assert_told_once(stage)


def test_a_name_that_is_taken_by_others_is_left_to_them(stage: Stage) -> None:
    stage.slack.add_channel("incident-toys-20260101-0000")
    stage.alert()
    assert stage.channel.name == "incident-toys-20260101-0000-2"


def test_a_restart_in_between_says_nothing_twice(stage: Stage) -> None:
    stage.alert()
    stage.slack.down = True
    stage.app.commands.approve(stage.gate.id, _alice(stage), "", stage.gate.fingerprint)
    stage.work()
    stage.restart()
    stage.slack.down = False
    stage.pass_time(120, step=1)
    stage.restart()
    stage.pass_time(30, step=1)
    assert_told_once(stage)


def test_who_dies_while_posting_leaves_no_double(stage: Stage) -> None:
    stage.alert()
    stage.app.commands.cancel(stage.run.id, _alice(stage), "wrong one")
    stage.app.settle()
    stage.chat.tell()
    while True:
        stage.clock.advance(2)
        found = stage.app.store.write(lambda tx: tx.outbox.claim("dead", 60))
        assert found is not None
        settled = stage.chat.deliverer.chat.deliver(found)
        if found.parcel.kind == "post":
            break  # killed between Slack's taking the message and its own noting that
        stage.app.store.write(partial(_settle, found, settled))
    assert keys(stage)[-1] == found.parcel.key
    stage.restart()
    stage.pass_time(200, step=1)
    assert_told_once(stage)


def test_missing_rights_are_named_and_mended_without_loss(stage: Stage) -> None:
    stage.slack.scopes -= {"channels:manage", "pins:write"}
    stage.alert()
    ((_, why),) = stage.app.store.read(lambda tx: tx.outbox.troubles())
    assert "missing_scope (needs channels:manage)" in why
    assert "channels:manage" in stage.say(stage.alice, "status", channel="C00000000")
    stage.slack.scopes |= {"channels:manage"}
    stage.pass_time(400, step=10)
    assert stage.channel.pins == [], "a pin can be missed; what follows is not held up by it"
    assert_told_once(stage)


def test_a_channel_that_somebody_archived_loses_messages_and_holds_nothing_up(
    stage: Stage,
) -> None:
    stage.alert()
    stage.channel.archived = True
    stage.app.commands.approve(stage.gate.id, _alice(stage), "", stage.gate.fingerprint)
    stage.settle()
    assert stage.state == "succeeded"
    assert not stage.app.store.read(lambda tx: tx.outbox.waiting(stage.incident.id))


def test_blocks_that_slack_refuses_are_said_as_text(stage: Stage) -> None:
    stage.slack.fault("chat.postMessage", "invalid_blocks", "msg_too_long")
    stage.alert()
    assert stage.channel.messages[0]["text"]
    assert_told_once(stage)


def test_who_cannot_be_invited_keeps_nobody_out(stage: Stage) -> None:
    stage.slack.users -= {"UALICE"}
    stage.alert()
    assert stage.channel.members == ["UBOT", "UBOB"]


def test_answers_go_to_the_person_alone_when_the_url_is_used_up(stage: Stage) -> None:
    stage.alert()
    given = stage.bob.command("status", stage.channel.id)
    stage.slack.urls[given["response_url"]].uses = 5
    assert stage.post(given).is_success
    stage.settle()
    assert stage.channel.ephemeral[-1]["user"] == "UBOB"
    foreign = stage.bob.command("status", stage.channel.id) | {"response_url": "http://evil.test/x"}
    assert stage.post(foreign).is_success
    stage.settle()
    assert len(stage.channel.ephemeral) == 2, "no answer goes where Slack does not live"


def test_every_kind_of_parcel_has_its_method() -> None:
    assert set(METHODS) >= {"create", "post", "update", "upload", "pin", "archive", "answer"}


def _settle(delivery: Delivery, settled: Settled, tx: Tx) -> bool:
    return tx.outbox.settle(delivery, settled)


def _alice(stage: Stage) -> Actor:
    return actor_of_slack(stage.app.config.directory, "UALICE")


def test_two_processes_tell_and_deliver_everything_once(stage: Stage) -> None:
    other = chat_of(stage.app)
    stage.slack.down = True
    stage.alert()
    stage.app.commands.cancel(stage.run.id, _alice(stage), "wrong one")
    stage.app.settle()
    stage.slack.down = False
    with ThreadPoolExecutor(4) as pool:
        for _ in range(80):
            moved = [pool.submit(chat.step) for chat in (stage.chat, other) for _ in range(2)]
            for one in moved:
                one.result(20)
            stage.clock.advance(1.1)
    stage.settle()
    assert_told_once(stage)
    assert "wrong one" in transcript(stage.channel)
