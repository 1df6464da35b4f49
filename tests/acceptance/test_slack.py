"""The real `stanch serve` and a strict Slack: whole incidents to the archived channel, with a kill in between.

Once over signed requests and SQLite, once over Socket Mode and PostgreSQL.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from slack_sdk.signature import SignatureVerifier

from tests.acceptance.test_serve import Place, until
from worlds.slack import Person, SlackServer, Workspace
from worlds.slack.channels import Channel
from worlds.slack.people import form, signed
from worlds.slack.transcript import transcript
from worlds.slack.workspace import APP_TOKEN, SECRET, TOKEN

PLAYBOOK = """
playbook: notes/repair
summary: note what was done, once people agreed
inputs: {type: object, required: [name], properties: {name: {type: string}}}
steps:
  - id: agreed
    gate: {role: sre, approvals: 2, within: 1h}
  - id: note
    action: log.decision
    with: {connection: decisions, fields: {action: "{{ inputs.name }}"}}
  - id: tell
    action: slack.message
    with: {title: Done, text: "{{ inputs.name }} was noted", call: [sre]}
  - id: list
    action: slack.file
    with: {filename: rows.csv, text: "id\\n1\\n"}
  - id: better
    action: slack.update
    with: {of: "{{ steps.tell.message }}", text: "{{ inputs.name }} was noted, and a list is below"}
"""
STARTED = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime())
RULE = """
rules:
  - name: etl-repair
    matchers: ['alertname="Noted"']
    mode: auto
    playbook: notes/repair
    inputs: {name: "{{ alert.labels.alertname }}"}
"""


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        server.workspace.users |= {"UALICE", "UBOB"}
        yield server


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("T", TOKEN), ("S", SECRET), ("A", APP_TOKEN)):
        monkeypatch.setenv(name, value)


def place(folder: Path, slack: SlackServer, store: str, mode: str) -> Place:
    (folder / "stanch.yaml").write_text(
        f"""
store: {store}
listen: 127.0.0.1:0
roles: {{sre: [alice, bob], operator: [alice]}}
people: {{alice: {{slack: UALICE}}, bob: {{slack: UBOB}}}}
connections: {{decisions: {{kind: decisions, path: var/decisions.log}}}}
chat: {{invite: [sre], archive_after: 1s}}
slack: {{token: {{env: T}}, {mode}, base_url: "{slack.api}"}}
"""
    )
    for name, text in (("playbooks/notes/repair.yaml", PLAYBOOK), ("rules/etl.yaml", RULE)):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Place(folder)


def alert(status: str) -> dict[str, Any]:
    labels = {"alertname": "Noted"}
    one = {"status": status, "labels": labels, "startsAt": STARTED, "fingerprint": "f1"}
    if status == "resolved":
        one["endsAt"] = STARTED
    return {
        "version": "4",
        "receiver": "stanch",
        "groupKey": "{}",
        "groupLabels": labels,
        "alerts": [one],
    }


def send(url: str, given: dict[str, Any]) -> None:
    """Send what Slack would, and send it again, as it does where it heard no answer."""
    body = form(given)
    headers = signed(body, time.time())
    assert SignatureVerifier(SECRET).is_valid_request(body, headers), "Slack's own check"
    path = "commands" if "command" in given else "interactions"
    answer = httpx.post(f"{url}/slack/{path}", content=body, headers=headers, timeout=30)
    assert answer.status_code == 200
    again = httpx.post(f"{url}/slack/{path}", content=body, headers=headers, timeout=30)
    assert again.status_code == 409


def said(workspace: Workspace, text: str) -> Callable[[], bool]:
    return lambda: any(text in str(m) for c in workspace.channels.values() for m in c.messages)


def told_once(channel: Channel) -> str:
    told = transcript(channel)
    keys = [m["metadata"]["event_payload"]["key"] for m in channel.messages if "metadata" in m]
    assert len(keys) == len(set(keys)), told
    assert told.count("[file rows-") == 1, told
    return told


def pressed(channel: Channel, text: str) -> dict[str, Any]:
    found: dict[str, Any]
    for found in reversed(channel.messages):
        if text in str(found):
            return found
    raise AssertionError(transcript(channel))


def refused(url: str, workspace: Workspace, slack: SlackServer, channel: Channel) -> None:
    """What the running process lets nobody do: one's own run, a stranger's wish, what Slack never signed."""
    alice, stranger = (Person(name, workspace, slack.base) for name in ("UALICE", "USTRANGE"))

    def answered(text: str) -> Callable[[], bool]:
        return lambda: text in str(workspace.answers)

    send(url, alice.command("run notes/repair name=own --mode=auto", channel.id))
    until(answered("Started"))
    (began,) = [one for _, one in workspace.answers if "Started" in str(one)]
    (started,) = set(re.findall(r"run-[0-9a-z]{10,}", str(began)))

    def waiting() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{url}/api/v1/approvals").json()["items"]
        return [one for one in found if one["run"] == started]

    until(lambda: bool(waiting()))
    (gate,) = waiting()
    words = f"approve {gate['id']} {gate['fingerprint'][:16]}"
    send(url, alice.command(words, channel.id))
    until(answered("another person must decide"))
    send(url, stranger.command(words, channel.id))
    until(answered("viewer"))
    forged = form(alice.command(f"cancel {started} mine", channel.id))
    for headers in (
        signed(forged, time.time(), "another secret"),
        signed(forged, time.time() - 400),
    ):
        answer = httpx.post(f"{url}/slack/commands", content=forged, headers=headers, timeout=30)
        assert answer.status_code == 401
    assert waiting(), "nothing of it counted"
    send(url, alice.command(f"cancel {started} mine", channel.id))
    until(lambda: not waiting())


@pytest.mark.timeout(600)
def test_a_whole_incident_to_the_archived_channel(tmp_path: Path, slack: SlackServer) -> None:
    workspace = slack.workspace
    alice, bob = (Person(name, workspace, slack.base) for name in ("UALICE", "UBOB"))
    here = place(tmp_path, slack, "sqlite:///var/stanch.db", "signing_secret: {env: S}")

    def at_rest() -> bool:
        """Nothing is under way to Slack: killed in a delivery, its channel would stand still for a minute."""
        file = f"file:{tmp_path}/var/stanch.db?mode=ro"
        with sqlite3.connect(file, uri=True, timeout=30) as database:
            query = "SELECT count(*) FROM outbox WHERE state IN ('queued', 'sending')"
            ((waiting,),) = database.execute(query)
        return not waiting

    with here.serving() as (url, process):
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        assert httpx.post(f"{url}/hooks/alertmanager", json=alert("firing")).status_code == 200
        until(said(workspace, "Approval wanted"))
        (channel,) = workspace.channels.values()
        assert "<@UALICE> <@UBOB>" in transcript(channel), "the role is called"
        send(url, alice.press(channel, pressed(channel, "Approval wanted"), "approve"))
        until(said(workspace, "alice approved"))
        until(at_rest)
        process.kill()
    with here.serving() as (url, _):
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        send(url, bob.press(channel, pressed(channel, "Approval wanted"), "approve"))
        until(said(workspace, "and a list is below"))
        until(said(workspace, "ended: succeeded"))
        assert httpx.post(f"{url}/hooks/alertmanager", json=alert("resolved")).status_code == 200
        until(said(workspace, "resolved: Noted"))
        refused(url, workspace, slack, channel)
        send(url, alice.command("close all well", channel.id))
        until(lambda: channel.archived)
        until(lambda: "is closed" in str(workspace.answers))
    told_once(channel)
    assert channel.members == ["UBOT", "UALICE", "UBOB"]
    assert {user for user, _ in workspace.answers} == {"UALICE", "UBOB", "USTRANGE"}


@pytest.mark.real
@pytest.mark.timeout(600)
def test_over_a_socket_and_postgresql(
    tmp_path: Path, slack: SlackServer, postgres_dsn: str
) -> None:
    workspace = slack.workspace
    alice, bob = (Person(name, workspace, slack.base) for name in ("UALICE", "UBOB"))
    here = place(tmp_path, slack, postgres_dsn, "mode: socket, app_token: {env: A}")

    def envelope(kind: str, given: dict[str, Any]) -> None:
        """Send an envelope and, once it is acknowledged, send it again."""
        sent = slack.sockets.send(kind, given)
        slack.sockets.acknowledged(sent, 60)
        slack.sockets.send(kind, given, sent)

    with here.serving() as (url, _):
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        slack.sockets.wait(1, 60)
        assert httpx.post(f"{url}/hooks/alertmanager", json=alert("firing")).status_code == 200
        until(said(workspace, "Approval wanted"))
        (channel,) = workspace.channels.values()
        wanted = pressed(channel, "Approval wanted")
        whole = re.search(r"/stanch (approve gate-\S+ [0-9a-f]+)", str(wanted))
        assert whole is not None
        envelope("slash_commands", alice.command(f"{whole[1]} seen", channel.id))
        until(said(workspace, "alice approved"))
        envelope("interactive", bob.press(channel, wanted, "approve"))
        until(said(workspace, "ended: succeeded"))
    with here.serving() as (url, _):
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        slack.sockets.wait(2, 60)
        assert httpx.post(f"{url}/hooks/alertmanager", json=alert("resolved")).status_code == 200
        until(said(workspace, "resolved: Noted"))
        envelope("slash_commands", alice.command("close all well", channel.id))
        until(lambda: channel.archived)
    assert "alice approved" in told_once(channel)
    assert "bob approved" in transcript(channel)
    with psycopg.connect(postgres_dsn.replace("+psycopg", "")) as database:
        votes = database.execute("SELECT count(*) FROM votes").fetchone()
    assert votes == (2,), "what came again counted once"
