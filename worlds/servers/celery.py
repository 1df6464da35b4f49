"""A real Celery worker, as a process of its own, and a small shop of tasks that it does."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from worlds.servers.process import ServerProcess

APP = "worlds.servers.shop"


class CeleryWorker(ServerProcess):
    """A worker of `worlds.servers.shop` over the Redis at `redis_port`.

    Args:
        name: its name, without the node. queues: those that it consumes. broker, results: databases.
    """

    title = "celery"
    ready_within = 60.0

    def __init__(
        self,
        folder: Path,
        redis_port: int,
        *,
        name: str = "one",
        queues: Sequence[str] = ("batch.high", "batch.normal", "batch.low"),
        broker: int = 0,
        results: int = 1,
    ) -> None:
        super().__init__(folder, port=redis_port)
        self.name = f"{name}@shop"
        self.queues = tuple(queues)
        self.broker, self.results = broker, results

    @classmethod
    def missing(cls) -> str | None:
        """Return the package to install, or None."""
        return None if find_spec("celery") else "the Python package celery"

    def environment(self) -> Mapping[str, str]:
        """Return what tells the shop where its broker and its results lie."""
        base = f"redis://127.0.0.1:{self.port}"
        return {"SHOP_BROKER": f"{base}/{self.broker}", "SHOP_RESULTS": f"{base}/{self.results}"}

    def popen_options(self) -> Mapping[str, Any]:
        return {"env": {**os.environ, **self.environment()}}

    def prepare(self) -> Sequence[str]:
        return [
            *(sys.executable, "-m", "celery", "-A", APP, "worker"),
            *("-P", "threads", "-c", "1", "-n", self.name, "-Q", ",".join(self.queues)),
            *("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO"),
        ]

    def is_ready(self) -> bool:
        """Whether it says so: Celery tells by its log that it consumes."""
        return self.log.exists() and f"{self.name} ready." in self.log.read_text(errors="replace")
