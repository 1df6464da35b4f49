"""Who may knock: signatures, replays, sizes; acknowledged at once, stored before, worked on after."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.contract.world import SecretRef
from engine.edges.chat.slack.signature import SKEW, refusal
from engine.edges.chat.slack.socket import Socket
from engine.edges.settings.slack import SlackConfig
from engine.running.services import ApprovalRule
from tests.unit.edges.chat.kit import Stage
from worlds.slack import SlackServer
from worlds.slack.people import form, signed
from worlds.slack.workspace import APP_TOKEN, SECRET

PATH = "/slack/commands"


def waits(stage: Stage) -> bool:
    return stage.app.store.read(lambda tx: tx.inbox.waits())


def test_slacks_own_example_is_verified() -> None:
    """The example of Slack's documentation of how to verify requests."""
    secret = "8f742231b10e8888abcd99yyyzzz85a5"
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&"
        b"channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&"
        b"command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2F"
        b"T1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."
        b"803a0bc887a14d10d2c447fce8b6703c"
    )
    signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert refusal(secret, "1531420618", signature, body, 1531420618.0) is None
    assert refusal(secret, "1531420618", signature, body, 1531420618.0 + SKEW) is None
    late = refusal(secret, "1531420618", signature, body, 1531420618.0 + SKEW + 1)
    assert late is not None
    assert "clock" in late
    assert refusal(secret, "1531420618", signature, body + b"x", 1531420618.0) is not None
    assert refusal(secret, "1531420618", "v0=é", body, 1531420618.0) is not None
    assert refusal(secret, "٣", signature, body, 1531420618.0) is not None
    assert refusal(secret, None, signature, body, 1531420618.0) is not None


def test_what_is_forged_late_or_too_large_is_refused_and_not_stored(stage: Stage) -> None:
    now = stage.clock.now().timestamp()
    body = form(stage.alice.command("pause because I can"))
    good = signed(body, now)
    forged = [
        (body, signed(body, now, "another secret")),
        (body + b"&user_id=UBOB", good),
        (body, signed(body, now - SKEW - 1)),
        (body, signed(body, now + SKEW + 1)),
        (body, {}),
    ]
    for sent, headers in forged:
        assert stage.send(PATH, sent, headers).status_code == 401
    large = b"text=" + b"x" * 300_000
    assert stage.send(PATH, large, signed(large, now)).status_code == 413
    for odd in (b"", b"\xff\xfe", b"payload=1", b"payload={", b"text=hi"):
        for path in (PATH, "/slack/interactions"):
            assert stage.send(path, odd, signed(odd, now)).status_code == 400, (path, odd)
    assert not waits(stage)
    assert stage.send(PATH, body, good).status_code == 200
    assert waits(stage)


def test_a_replay_is_refused_also_after_it_was_worked_on(stage: Stage) -> None:
    body = form(stage.alice.command("run toys/raise to=4"))
    headers = signed(body, stage.clock.now().timestamp())
    assert stage.send(PATH, body, headers).status_code == 200
    assert stage.send(PATH, body, headers).status_code == 409
    stage.settle()
    assert stage.send(PATH, body, headers).status_code == 409
    stage.settle()
    runs = stage.app.store.read(lambda tx: tx.runs.counts())
    assert sum(runs.values()) == 1


def test_an_old_request_that_comes_again_after_newer_ones_changes_nothing(stage: Stage) -> None:
    """A vote, its withdrawal, and then the vote once more, as a queue that lost its order would send it."""
    stage.app.services.approval = ApprovalRule("sre", 2, 3600.0)
    stage.alert()
    press = stage.alice.press(stage.channel, stage.message("Approval wanted"), "approve")
    vote = form(press)
    headers = signed(vote, stage.clock.now().timestamp())
    assert stage.send("/slack/interactions", vote, headers).status_code == 200
    stage.settle()
    assert "2 more wanted" in stage.say(stage.alice, f"withdraw {stage.gate.id}")
    assert stage.send("/slack/interactions", vote, headers).status_code == 409
    stage.settle()
    stage.press(stage.bob, "Approval wanted", "approve")
    assert stage.state == "awaiting_approval", "bob stands alone"
    assert stage.app.table.values["x"] == 1


def test_a_store_that_is_busy_delays_no_acknowledgement(stage: Stage) -> None:
    """Another process writes for long: Slack is answered within its three seconds, and told what is not sure."""
    body = form(stage.alice.command("run toys/raise to=4"))
    headers = signed(body, stage.clock.now().timestamp())
    (file,) = stage.folder.glob("*.db")
    with closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = stage.send(PATH, body, headers)
        assert answer.status_code == 200
        assert "not sure that this was stored" in answer.json()["text"]
        other.execute("ROLLBACK")
    assert not waits(stage), "the store gave up meanwhile"
    assert stage.send(PATH, body, headers).status_code == 200, "so that it may be said again"
    stage.settle()
    assert sum(stage.app.store.read(lambda tx: tx.runs.counts()).values()) == 1


def test_interactions_that_mean_nothing_to_us_are_taken_in_silence(stage: Stage) -> None:
    odd = {"type": "view_closed", "user": {"id": "UALICE"}}
    assert stage.post(odd).status_code == 200
    assert not waits(stage)


def test_what_cannot_be_stored_is_not_promised(stage: Stage) -> None:
    stage.app.store.close()
    answer = stage.post(stage.alice.command("status"))
    assert answer.status_code == 200
    assert "nothing will be done" in answer.json()["text"]


def test_what_was_begun_when_the_process_died_is_not_begun_twice(stage: Stage) -> None:
    stage.post(stage.alice.command("run toys/raise to=4"))
    stage.post(stage.alice.command("status"))
    for _ in range(2):
        assert stage.app.store.write(lambda tx: tx.inbox.claim("dead", 60)) is not None
    stage.clock.advance(61)
    stage.settle()
    assert not stage.app.store.read(lambda tx: tx.runs.counts())
    texts = [str(message) for _, message in stage.slack.answers]
    assert "is not done twice by itself" in texts[0]
    assert "All quiet" in texts[1], "what may be repeated is"


# ---------------------------------------------------------------- Socket Mode


@pytest.fixture
def socket(stage: Stage, slack: SlackServer) -> Iterator[Socket]:
    logging.getLogger("slack_sdk").setLevel(logging.CRITICAL)
    made = Socket(stage.app.store, APP_TOKEN, f"{slack.api}/")
    made.start()
    slack.sockets.wait(1)
    yield made
    made.stop()


@pytest.mark.usefixtures("socket")
def test_envelopes_are_stored_then_acknowledged_and_known_when_they_come_again(
    stage: Stage, slack: SlackServer
) -> None:
    envelope = slack.sockets.send("slash_commands", stage.alice.command("run toys/raise to=4"))
    assert slack.sockets.acknowledged(envelope) < 3
    assert waits(stage)
    stage.settle()
    slack.sockets.send("slash_commands", stage.alice.command("run toys/raise to=4"), envelope)
    other = slack.sockets.send("slash_commands", stage.alice.command("status"))
    slack.sockets.acknowledged(other)
    stage.settle()
    assert sum(stage.app.store.read(lambda tx: tx.runs.counts()).values()) == 1
    odd = slack.sockets.send("slash_commands", {"text": "nobody said this"})
    slack.sockets.acknowledged(odd)
    assert not waits(stage)
    slack.sockets.refresh()  # a new socket is open before the old one goes
    slack.sockets.wait(2)
    assert slack.sockets.most == 2
    last = slack.sockets.send("slash_commands", stage.alice.command("status"))
    slack.sockets.acknowledged(last)
    assert waits(stage)


def test_each_mode_wants_its_own_secret(tmp_path: Path) -> None:
    from engine.edges.config import load_config
    from engine.language.diagnostics import InvalidProject

    file = tmp_path / "stanch.yaml"
    file.write_text(
        "slack: {token: {env: T}, mode: socket}\nchat: {invite: [sree], channel: '{x}'}\n"
    )
    with pytest.raises(InvalidProject) as caught:
        load_config(file)
    told = str(caught.value)
    assert "slack.mode socket needs app_token" in told
    assert "there is no role 'sree'" in told
    assert "cannot be filled in" in told
    good = "roles: {sre: [alice]}\nslack: {token: {env: T}, signing_secret: {file: secret}}\n"
    file.write_text(good)
    slack = load_config(file).slack
    assert isinstance(slack, SlackConfig)
    assert slack.signing_secret == SecretRef(file=tmp_path / "secret")
    assert SECRET not in repr(slack)
