"""The cluster's process: it outlives an engine that is killed."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from engine.domain.clock import Clock, ManualClock, SystemClock, parse_time
from worlds.cluster.cluster import ADMIN_TOKEN, OPERATOR_TOKEN, Cluster
from worlds.cluster.controllers.base import Timing
from worlds.cluster.server import ClusterServer


class FastClock(SystemClock):
    """The system's clock, `speed` times as fast from the moment it is made."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._start, self._zero = datetime.now(UTC), super().monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return (super().monotonic() - self._zero) * self._speed

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / self._speed)


def kubeconfig(url: str) -> str:
    """Return a kubeconfig with the contexts `admin` and `operator`."""
    tokens = {"admin": ADMIN_TOKEN, "operator": OPERATOR_TOKEN}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "in-memory", "cluster": {"server": url}}],
            "users": [{"name": name, "user": {"token": token}} for name, token in tokens.items()],
            "contexts": [
                {"name": name, "context": {"cluster": "in-memory", "user": name}} for name in tokens
            ],
            "current-context": "admin",
        },
        sort_keys=False,
    )


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m worlds.cluster",
        description="A Kubernetes cluster in memory, on loopback, until it is ended.",
        epilog="Example: python -m worlds.cluster --port 8001 --objects scene.yaml "
        "--kubeconfig cluster.kubeconfig",
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="0 takes a free one; the address is printed")
    add("--objects", type=Path, action="append", default=[], help="YAML file of objects to create")
    add("--request-log", type=Path, help="append every request to this file, a JSON line each")
    add("--kubeconfig", type=Path, help="write a kubeconfig (contexts admin, operator) here")
    add("--speed", type=float, default=1.0, help="how many times as fast the cluster's time runs")
    add("--clock", choices=("system", "manual"), default="system", help="manual: POST /-/clock")
    add("--start", type=parse_time, help="where a manual clock starts, RFC 3339")
    add("--pod-start", type=float, default=1.0, help="seconds from a pod's binding to its start")
    return parser.parse_args(arguments)


def _clock(options: argparse.Namespace) -> Clock:
    if options.clock == "manual":
        return ManualClock(options.start)
    return SystemClock() if options.speed == 1.0 else FastClock(options.speed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until SIGTERM or SIGINT. Prints one line, the address, once it answers."""
    options = _arguments(arguments)
    cluster = Cluster(
        _clock(options),
        timing=Timing(start=options.pod_start),
        request_log=options.request_log,
    )
    for path in options.objects:
        with path.open() as file:
            cluster.load(item for item in yaml.safe_load_all(file) if item)
    server = ClusterServer(cluster, options.port).start()
    if options.kubeconfig:
        waiting = options.kubeconfig.with_suffix(".new")
        waiting.write_text(kubeconfig(server.url))
        waiting.replace(options.kubeconfig)  # a reader never sees half of it
    sys.stdout.write(server.url + "\n")
    sys.stdout.flush()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    server.stop()
    sys.stdout.flush()
    os._exit(0)  # watches may still be blocked in a write to a client that is gone
