"""The real `stanch serve` and a strict Slack: a whole incident, with a kill in between, to the archived channel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from slack_sdk.signature import SignatureVerifier

from tests.acceptance.test_serve import Place, until
from worlds.slack import Person, SlackServer, Workspace
from worlds.slack.people import form, signed
from worlds.slack.transcript import transcript
from worlds.slack.workspace import SECRET, TOKEN, Channel

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


@pytest.fixture
def place(tmp_path: Path, slack: SlackServer, monkeypatch: pytest.MonkeyPatch) -> Place:
    (tmp_path / "stanch.yaml").write_text(
        f"""
store: sqlite:///var/stanch.db
listen: 127.0.0.1:0
roles: {{sre: [alice, bob], operator: [alice]}}
people: {{alice: {{slack: UALICE}}, bob: {{slack: UBOB}}}}
connections: {{decisions: {{kind: decisions, path: var/decisions.log}}}}
chat: {{invite: [sre], archive_after: 1s}}
slack: {{token: {{env: T}}, signing_secret: {{env: S}}, base_url: "{slack.api}"}}
"""
    )
    for name, text in (("playbooks/notes/repair.yaml", PLAYBOOK), ("rules/etl.yaml", RULE)):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setenv("T", TOKEN)
    monkeypatch.setenv("S", SECRET)
    return Place(tmp_path)


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
    """Send what Slack would, and hold the acknowledgement to its three seconds."""
    body = form(given)
    headers = signed(body, time.time())
    assert SignatureVerifier(SECRET).is_valid_request(body, headers), "Slack's own check"
    path = "commands" if "command" in given else "interactions"
    answer = httpx.post(f"{url}/slack/{path}", content=body, headers=headers, timeout=3)
    assert answer.status_code == 200
    assert httpx.post(f"{url}/slack/{path}", content=body, headers=headers).status_code == 409


def test_a_whole_incident_to_the_archived_channel(place: Place, slack: SlackServer) -> None:
    workspace = slack.workspace
    alice, bob = (Person(name, workspace, slack.base) for name in ("UALICE", "UBOB"))

    def said(text: str) -> dict[str, Any] | None:
        found = [m for c in workspace.channels.values() for m in c.messages if text in str(m)]
        return found[-1] if found else None

    with place.serving() as (url, process):
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        assert httpx.post(f"{url}/hooks/alertmanager", json=alert("firing")).status_code == 200
        until(lambda: said("Approval wanted") is not None)
        (channel,) = workspace.channels.values()
        assert "<@UALICE> <@UBOB>" in transcript(channel), "the role is called"
        send(url, alice.press(channel, pressed(channel, "Approval wanted"), "approve"))
        until(lambda: said("alice approved") is not None)
        quiet(workspace)  # killed in a delivery, its channel would stand still for a minute
        process.kill()
    with place.serving() as (url, _):
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        send(url, bob.press(channel, pressed(channel, "Approval wanted"), "approve"))
        until(lambda: said("and a list is below") is not None)
        until(lambda: said("ended: succeeded") is not None)
        assert httpx.post(f"{url}/hooks/alertmanager", json=alert("resolved")).status_code == 200
        until(lambda: said("resolved: Noted") is not None)
        send(url, alice.command("close all well", channel.id))
        until(lambda: channel.archived)
        until(lambda: "is closed" in str(workspace.answers))
    told = transcript(channel)
    keys = [m["metadata"]["event_payload"]["key"] for m in channel.messages if "metadata" in m]
    assert len(keys) == len(set(keys)), told
    assert "[file rows-" in told
    assert channel.members == ["UBOT", "UALICE", "UBOB"]
    assert {user for user, _ in workspace.answers} == {"UALICE", "UBOB"}


def quiet(workspace: Workspace) -> None:
    """Wait until Slack has been asked nothing for a while."""
    seen = -1
    while seen != len(workspace.calls):
        seen = len(workspace.calls)
        time.sleep(2.0)


def pressed(channel: Channel, text: str) -> dict[str, Any]:
    found: dict[str, Any]
    for found in reversed(channel.messages):
        if text in str(found):
            return found
    raise AssertionError(transcript(channel))
