"""What is measured: the floor and the real `stanch serve`, each a process in a folder of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from worlds.servers.process import ServerProcess, free_port

_RULE = {
    "name": "bench",
    "matchers": ['alertname="Bench"'],
    "run_per": ["n"],
    "mode": "auto",
    "playbook": "bench/one",
    "inputs": {"n": "{{ alert.labels.n }}"},
}


class FloorProcess(ServerProcess):
    """The bare server."""

    title = "floor"

    def __init__(self, folder: Path, effects: int) -> None:
        super().__init__(folder)
        self.effects = effects

    @classmethod
    def missing(cls) -> str | None:
        return None

    def prepare(self) -> Sequence[str]:
        database = self.folder / "floor.db"
        return [
            *(sys.executable, "-m", "bench.floor", "--port", str(self.port)),
            *("--effects", str(self.effects), "--database", str(database)),
        ]

    def is_ready(self) -> bool:
        return self.answers("/")


class StanchProcess(ServerProcess):
    """The real server with the bench's plugin, rules and playbooks."""

    title = "stanch"
    ready_within = 60.0

    def __init__(self, folder: Path, effects: int, *, steps: int = 20, urgent: int = 0) -> None:
        super().__init__(folder)
        self.effects = effects
        self.urgent = urgent  # the port that P0 runs tell
        self.steps = steps
        self.ready_s = 0.0

    @classmethod
    def missing(cls) -> str | None:
        return None

    @property
    def database(self) -> Path:
        return self.folder / "stanch.db"

    def prepare(self) -> Sequence[str]:
        self._write()
        config = self.folder / "stanch.yaml"
        return [sys.executable, "-m", "engine.edges.cli", "--config", str(config), "serve"]

    def _write(self) -> None:
        folder = self.folder.resolve()
        (folder / "playbooks" / "bench").mkdir(parents=True, exist_ok=True)
        self._playbook("one", 1, self.effects)
        self._playbook("many", self.steps, self.effects)
        self._playbook("urgent", 1, self.urgent)
        many = {
            **_RULE,
            "name": "bench-many",
            "matchers": ['alertname="BenchMany"'],
            "playbook": "bench/many",
        }
        urgent = {
            **_RULE,
            "name": "bench-urgent",
            "matchers": ['alertname="BenchUrgent"'],
            "playbook": "bench/urgent",
            "priority": {"P0": True},
        }
        storm = {
            **_RULE,
            "name": "bench-storm",
            "matchers": ['alertname="BenchStorm"'],
            "run_per": ["namespace"],
        }
        rules = [_RULE, many, urgent, storm]
        (folder / "rules.yaml").write_text(json.dumps({"rules": rules}))
        config = {
            "store": f"sqlite:///{self.database.resolve()}",
            "listen": f"127.0.0.1:{self.port}",
            "rules": [str(folder / "rules.yaml")],
            "playbooks": [str(folder / "playbooks")],
            "actions": [str(Path(__file__).parent / "plugins")],
            "connections": {"listener": {"kind": "listener"}},
            "decisions_log": str(folder / "decisions.log"),
            "keys": {
                "images": {"file": str(folder / "images.key")},
                "seal": {"file": str(folder / "seal.key")},
            },
        }
        (folder / "stanch.yaml").write_text(json.dumps(config))

    def _playbook(self, name: str, steps: int, port: int) -> None:
        playbook = {
            "playbook": f"bench/{name}",
            "inputs": {
                "type": "object",
                "required": ["n"],
                "properties": {"n": {"type": "string"}},
            },
            "steps": [
                {
                    "id": f"mark{step}",
                    "action": "bench.mark",
                    "with": {"port": port, "id": "{{ inputs.n }}", "step": str(step)},
                }
                for step in range(steps)
            ],
        }
        path = self.folder / "playbooks" / "bench" / f"{name}.yaml"
        path.write_text(json.dumps(playbook))

    def start(self) -> StanchProcess:
        """Start and keep the seconds until it was ready."""
        began = time.monotonic()
        super().start()
        self.ready_s = time.monotonic() - began
        return self

    def is_ready(self) -> bool:
        return self.answers("/readyz")

    def memory_mb(self) -> float:
        """Return the resident memory of the server."""
        assert self.process is not None
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in text.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def open_runs(self) -> dict[str, int]:
        """Return the epochs of the runs that have not ended, straight from the store's file."""
        import sqlite3

        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5) as database:
            rows = database.execute("SELECT id, epoch FROM runs WHERE ended_at IS NULL").fetchall()
        return dict(rows)

    def ended_runs(self) -> int:
        """Count the runs that succeeded, straight from the store's file."""
        import sqlite3

        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5) as database:
            row = database.execute("SELECT count(*) FROM runs WHERE state = 'succeeded'").fetchone()
        return int(row[0])


def load(
    subject: ServerProcess,
    effects: int,
    *,
    posts: int,
    per_post: int = 1,
    connections: int = 1,
    **more: Any,
) -> dict[str, Any]:
    """Run the load generator against a subject and return its figures."""
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in more.items()]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.load", f"--port={subject.port}", f"--listen={effects}"),
            *(f"--posts={posts}", f"--per-post={per_post}", f"--connections={connections}"),
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the load generator failed:\n{done.stderr}\n{subject.tail()}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def effects_port() -> int:
    """Return a UDP port for effects (free as a TCP port, which says as much on loopback)."""
    return free_port()
