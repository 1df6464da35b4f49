"""`stanch doctor` over the ways to people: what is well is said, what is not is named with how to mend it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.edges.cli.main import run
from tests.contract.actions.pager import KEY, Pager
from worlds.slack import SlackServer
from worlds.slack.workspace import APP_TOKEN, SECRET, TOKEN

CONFIG = """
store: sqlite:///stanch.db
decisions_log: decisions.log
keys: {{images: {{file: images.key}}, seal: {{file: seal.key}}}}
rules: []
playbooks: []
roles: {{sre: {{members: [alice], groups: [SGROUP1]}}}}
people: {{alice: {{slack: UALICE}}}}
connections:
  duty: {{kind: webhook, preset: pagerduty, url: "{pager}", key: {{env: KEY}}, records: duty}}
  gone: {{kind: webhook, preset: generic, url: "http://127.0.0.1:1/hook", records: gone}}
slack:
  token: {{env: BOT}}
  {mode}
  channels: {{updates: {updates}}}
  base_url: "{slack}"
escalation:
  people: {{alice: {{ways: [{{webhook: duty}}]}}}}
  schedules: {{primary: {{file: oncall.yaml}}}}
  contacts: {{primary: {{title: Primary on-call, on_call: primary}}}}
  chains: {{default: {{steps: [{{contact: primary}}]}}}}
  acknowledgements: {{pagerduty: {{env: HOOK}}}}
"""
HTTP = "signing_secret: {env: SIGNING}"
SOCKET = "mode: socket\n  app_token: {env: APP}"
ROTA = "rotations:\n  - {people: [alice], start: 2020-01-01T00:00:00Z, every: 7d}\n"

Findings = dict[str, dict[str, Any]]
Doctor = Callable[..., Findings]


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        server.workspace.groups["SGROUP1"] = ["UALICE"]
        yield server


@pytest.fixture
def doctor(
    tmp_path: Path,
    slack: SlackServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Doctor]:
    monkeypatch.chdir(tmp_path)
    updates = slack.workspace.add_channel("updates", "UADMIN", "UBOT")
    (tmp_path / "oncall.yaml").write_text(ROTA)
    with Pager() as pager:

        def examine(mode: str = HTTP, **environment: str) -> Findings:
            text = CONFIG.format(pager=pager.url, slack=slack.api, mode=mode, updates=updates.id)
            (tmp_path / "stanch.yaml").write_text(text)
            secrets = {"BOT": TOKEN, "SIGNING": SECRET, "APP": APP_TOKEN, "KEY": KEY, "HOOK": "h"}
            for name, value in (secrets | environment).items():
                monkeypatch.setenv(name, value)
            assert run(["doctor", "--json"]) == 1, "one of the connections is gone"
            out = capsys.readouterr().out
            assert TOKEN not in out
            return {one["name"]: one for one in json.loads(out)["checks"]}

        yield examine
        assert not pager.bodies, "a receiver of pages is examined without sending one"


def test_what_is_well_is_said(doctor: Doctor, slack: SlackServer) -> None:
    found = doctor()
    wrong = [name for name, one in found.items() if not one["ok"]]
    assert wrong == ["connection gone (webhook)"]
    assert "cannot be reached" in found["connection gone (webhook)"]["message"]
    for name, told in (
        ("slack token", "stanch in https://test.slack.com/"),
        ("slack scopes", "all 11 are there"),
        ("slack channel updates", "#updates"),
        ("slack group SGROUP1", "1 people"),
        ("slack signing secret", "is there"),
        ("on call primary", "alice, by file"),
        ("acknowledgements from pagerduty", "its secret is there"),
    ):
        assert told in found[name]["message"], name
    done = {method for method, _ in slack.workspace.calls}
    assert done <= {"auth.test", "conversations.info", "usergroups.users.list"}, "it only asks"
    assert "can be opened" in doctor(SOCKET)["slack socket mode"]["message"]


def test_what_is_wrong_is_named_with_how_to_mend_it(
    doctor: Doctor, slack: SlackServer, tmp_path: Path
) -> None:
    workspace = slack.workspace
    workspace.scopes -= {"files:write", "commands"}
    workspace.groups["SGROUP1"] = []
    workspace.channel("updates").members.remove("UBOT")
    (tmp_path / "oncall.yaml").write_text(ROTA.replace("alice", "bob"))
    found = doctor(SIGNING=" ", HOOK="")
    for name, message, mend in (
        ("slack scopes", "missing: commands, files:write", "install it"),
        ("slack channel updates", "the app is not in #updates", "invite the app"),
        ("slack group SGROUP1", "nobody is in it", "groups of roles"),
        ("slack signing secret", "empty", "slack.signing_secret"),
        ("on call primary", "says no way to reach them", "escalation.schedules"),
        ("acknowledgements from pagerduty", "", "nobody who acknowledges there"),
    ):
        assert not found[name]["ok"], name
        assert message in found[name]["message"], name
        assert mend in found[name]["mend"], name
    (tmp_path / "oncall.yaml").write_text("rotations: {")
    found = doctor(SOCKET, BOT="xoxb-of-another", APP=TOKEN)
    assert "invalid_auth" in found["slack token"]["message"]
    assert "apps.connections.open" in found["slack socket mode"]["message"]
    assert not found["on call primary"]["ok"]
    workspace.down = True
    assert "cannot be reached" in doctor()["slack token"]["message"]
