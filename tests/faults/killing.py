"""A world that outlives the engine, and the engine as a real process that is killed in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.forking import Forked
from worlds.loopback import Loopback, QuietHandler, served_by

PATIENCE = 40.0  # seconds until a run must rest; generous, since the machine may be busy


# Without bytecode every start would compile all that it imports.
UNWANTED = {"STANCH_FAULT", "PYTHONDONTWRITEBYTECODE"}


class CountingServer(Loopback):
    """An HTTP system without idempotency: every POST counts. It lives in the test's process: nobody loses count.

    Attributes:
        posts: their number by path.
    """

    def __init__(self) -> None:
        self.posts: Counter[str] = Counter()
        super().__init__(served_by(self._serve))

    def _serve(self, request: QuietHandler) -> None:
        request.content()
        self.posts[request.path] += request.command == "POST"
        request.document(200, {"ok": True})


class Started:
    """The command itself, with the ways of `Forked`."""

    def __init__(
        self, arguments: list[str], folder: Path, environment: Mapping[str, str], log: Path
    ) -> None:
        command = [str(Path(sys.executable).with_name("stanch")), *arguments]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=output, stderr=output
            )
        self.poll, self.terminate, self.kill = (
            self._process.poll,
            self._process.terminate,
            self._process.kill,
        )

    def wait(self, within: float | None = None) -> int | None:
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            return None


@dataclass
class Engine:
    """`stanch serve` as a process, started again and again on one folder."""

    folder: Path
    port: int
    process: Started | Forked | None = None

    def start(self, fault: str | None = None, *, forked: bool = True) -> None:
        """Start it: forked from a process that has imported everything, or by its command."""
        environment = {key: value for key, value in os.environ.items() if key not in UNWANTED}
        if fault is not None:
            environment["STANCH_FAULT"] = fault
        start = Forked if forked else Started
        arguments = ["--config", "stanch.yaml", "serve"]
        self.process = start(arguments, self.folder, environment, self.folder / "serve.log")

    @property
    def dead(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            if self.process.wait(20) is None:
                self.process.kill()
                self.process.wait()

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """One request; None where nobody answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=data,
            method=method,
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            error.close()
            return None
        except (OSError, ValueError):
            return None

    def until(self, what: Any, *, or_dead: bool = True) -> Any:
        """Wait until `what()` is true; None where the process died first."""
        end, pause = time.monotonic() + PATIENCE, 0.02
        while time.monotonic() < end:
            if or_dead and self.dead:
                return None
            found = what()
            if found:
                return found
            time.sleep(pause)
            pause = min(pause * 1.3, 0.1)
        log = (self.folder / "serve.log").read_text()[-3000:]
        raise AssertionError(f"nothing happened in {PATIENCE:g} s; the log ends:\n{log}")


def alert(case: str, *, crowd: int = 0) -> dict[str, Any]:
    """A delivery as Alertmanager sends it. `crowd`: so many alerts besides, which no rule takes."""
    starts_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 5))
    named = [("Broken", "1234567890abcdef"), *(("Quiet", f"{n:016x}") for n in range(crowd))]
    return {
        "version": "4",
        "groupKey": f"{{}}:{{case={case}}}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "stanch",
        "groupLabels": {"case": case},
        "commonLabels": {"alertname": "Broken", "case": case},
        "commonAnnotations": {},
        "externalURL": "http://127.0.0.1",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": name, "case": case},
                "annotations": {},
                "startsAt": starts_at,
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "",
                "fingerprint": fingerprint,
            }
            for name, fingerprint in named
        ],
    }


RULES = """
rules:
  - name: broken
    matchers: ['alertname="Broken"']
    mode: auto
    playbook: repair
    inputs: {case: "{{ alert.labels.case }}"}
"""

PLAYBOOK = """
playbook: repair
summary: One effect of every kind of protection
inputs: {type: object, required: [case], properties: {case: {type: string}}}
steps:
  - id: rows
    action: postgres.execute
    with:
      connection: db
      sql: UPDATE counters SET n = n + 1 WHERE id = %(case)s
      params: {case: "{{ inputs.case }}"}
      table: public.counters
      key: [id]
  - id: scale
    action: kubernetes.scale
    with: {connection: cluster, namespace: default, kind: Deployment, name: "{{ inputs.case }}", replicas: 2}
  - id: post
    action: http.request
    with: {connection: web, method: POST, path: "/{{ inputs.case }}", body: {a: 1}}
  - id: told
    action: log.decision
    with: {fields: {CASE: "{{ inputs.case }}"}}
"""


def settings_of(folder: Path, port: int, kubeconfig: str, web: str) -> dict[str, Any]:
    """The configuration of an engine in a folder, with its targets in the world."""
    return {
        "store": {"file": str(folder / "store")},
        "listen": f"127.0.0.1:{port}",
        "rules": ["rules.yaml"],
        "playbooks": ["repair.yaml"],
        "decisions_log": "decisions.log",
        "keys": {"images": {"file": "images.key"}, "seal": {"file": "seal.key"}},
        # The world is made anew a moment before each case.
        "brakes": {"fresh_changes": {"within": "0s"}},
        "connections": {
            "db": {"kind": "postgres", "dsn": {"file": str(folder / "dsn")}},
            "cluster": {"kind": "kubernetes", "kubeconfig": kubeconfig, "context": "admin"},
            "web": {"kind": "http", "url": web},
        },
    }
