"""The real `stanch serve` and the real command line, as processes: start, alert, run, reload, stop."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.edges.cli.main import run

STANCH = str(Path(sys.executable).with_name("stanch"))
PATIENCE = 90.0  # seconds; generous, since the machine may be busy

PLAYBOOK = """
playbook: notes/keep
summary: note an alert
inputs: {type: object, required: [name], properties: {name: {type: string}}}
steps:
  - id: note
    action: log.decision
    with: {connection: decisions, fields: {action: "{{ inputs.name }}"}}
"""
RULE = """
rules:
  - name: keep
    matchers: ['alertname="Noted"']
    mode: auto
    playbook: notes/keep
    inputs: {name: "{{ alert.labels.alertname }}"}
"""
CONFIG = """
store: sqlite:///var/stanch.db
listen: 127.0.0.1:0
roles: {sre: [local]}
connections: {decisions: {kind: decisions, path: var/decisions.log}}
"""


def alert() -> dict[str, Any]:
    return {
        "version": "4",
        "receiver": "stanch",
        "groupKey": "{}",
        "groupLabels": {"alertname": "Noted"},
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "Noted"},
                "startsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "fingerprint": "f1",
            }
        ],
    }


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.05)


@dataclass
class Place:
    """A folder with a configuration, a rule and a playbook."""

    folder: Path

    def stanch(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [STANCH, *arguments],
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            check=False,
            text=True,
            timeout=PATIENCE * 2,
        )

    @contextlib.contextmanager
    def serving(self) -> Iterator[tuple[str, subprocess.Popen[str]]]:
        process = subprocess.Popen(
            [STANCH, "serve"],
            cwd=self.folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", said)
            assert found, said
            yield found[0], process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "stanch.yaml").write_text(CONFIG)
    for name, text in (("playbooks/notes/keep.yaml", PLAYBOOK), ("rules/notes.yaml", RULE)):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Place(tmp_path)


def test_an_alert_is_worked_on_and_the_server_stops_cleanly(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = place.folder / "var/decisions.log"
    monkeypatch.chdir(place.folder)
    assert run(("run", "notes/keep", "-i", "name=before")) == 0, "what the server warms up by"
    with place.serving() as (url, process):
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        assert httpx.post(f"{url}/hooks/alertmanager", json=alert()).status_code == 200
        until(lambda: log.exists() and "ACTION=Noted" in log.read_text())
        listed = place.stanch("runs", "--json", STANCH_SERVER=url)
        assert listed.returncode == 0, listed.stderr
        (found,) = [one for one in json.loads(listed.stdout)["items"] if one["rule"]]
        assert found["rule"] == "keep"
        until(
            lambda: (
                'stanch_runs_total{playbook="notes/keep",state="succeeded"} 1.0'
                in httpx.get(f"{url}/metrics").text
            )
        )

        until(lambda: httpx.get(f"{url}/api/v1/warmup").json()["state"] == "done")
        fetched = 'stanch_warmup_fetched{what="playbook"} 1.0'
        assert fetched in httpx.get(f"{url}/metrics").text

        (place.folder / "rules/notes.yaml").write_text(RULE.replace("name: keep", "name: kept"))
        process.send_signal(signal.SIGHUP)
        until(lambda: httpx.get(f"{url}/api/v1/rules/kept").status_code == 200)
        (place.folder / "rules/notes.yaml").write_text("rules: [{}]")
        process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert httpx.get(f"{url}/api/v1/rules/kept").status_code == 200

        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert process.stdout is not None
        assert "stopped" in process.stdout.read()
    # Without the server the same questions are asked of the store itself, broken rules or not.
    shown = place.stanch("show", found["id"], "--timeline")
    assert shown.returncode == 0, shown.stderr
    assert "run ended: succeeded" in shown.stdout
    assert place.stanch("pause", "--reason", "rules are broken").returncode == 0
    assert place.stanch("serve").returncode == 2
    secret = [file for file in (place.folder / "var").iterdir() if file.suffix in {".db", ".key"}]
    assert all(stat.S_IMODE(file.stat().st_mode) & 0o077 == 0 for file in secret)


def test_the_command_line_alone_plans_runs_and_shows(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stanch(*arguments: str) -> tuple[int, str]:
        code = run(arguments)
        return code, capsys.readouterr().out

    monkeypatch.chdir(place.folder)
    assert stanch("check") == (0, "no mistakes\n")
    code, shown = stanch("plan", "notes/keep", "-i", "name=x")
    assert (code, "log.decision" in shown) == (0, True)
    code, shown = stanch("run", "notes/keep", "-i", "name=by hand", "--json")
    detail = json.loads(shown)
    assert (code, detail["state"]) == (0, "succeeded")
    assert "ACTION=by hand" in Path("var/decisions.log").read_text()
    code, shown = stanch("follow", detail["id"])
    assert (code, "run ended: succeeded" in shown) == (0, True)
    code, shown = stanch("actions", "show", "log.decision")
    assert (code, "fields" in shown) == (0, True)
    assert stanch("actions", "show", "log.decisoin")[0] == 2
    assert json.loads(stanch("audit", "verify", "--json")[1])["ok"] is True
    code, shown = stanch(
        "token", "create", "alice", "--role", "viewer", "--expires", "90d", "--json"
    )
    assert json.loads(shown)["token"].startswith("stanch_")
    assert "viewer" in stanch("token", "list")[1]
    assert stanch("token", "revoke", "alice")[0] == 0
    assert json.loads(stanch("doctor", "--json")[1])["ok"]
    Path("var/seal.key").chmod(0o644)
    code, shown = stanch("doctor")
    assert (code, "chmod 600" in shown) == (1, True)
    Path("playbooks/notes/keep.yaml").write_text(
        "playbook: notes/keep\nsteps: [{id: x, acton: y}]\n"
    )
    code, shown = stanch("check", "--json")
    found = json.loads(shown)
    assert (code, found["ok"]) == (2, False)
    assert found["diagnostics"][0]["file"].endswith("keep.yaml")
    assert stanch("plan", "notes/keep", "-i", "name=x")[0] == 2
    assert stanch("show", detail["id"])[0] == 0, "a broken playbook hides no run"


def test_beyond_loopback_it_refuses_to_serve(place: Place) -> None:
    refused = place.stanch("serve", "--listen", "0.0.0.0:0")
    assert refused.returncode == 3
    assert "intake.auth" in refused.stderr
    (place.folder / "stanch.yaml").write_text("listn: x\n")
    broken = place.stanch("serve")
    assert broken.returncode == 2
    assert "stanch.yaml:1:1" in broken.stdout + broken.stderr
