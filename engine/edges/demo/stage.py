"""The stage: every process of the demo, started in order and ended by its own handle."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx

from engine.edges.demo import files
from engine.edges.demo.talk import DemoFailed, Talk
from worlds.cluster.cluster import ADMIN_TOKEN
from worlds.exporter import Exporter
from worlds.metrics import StandInPrometheus
from worlds.servers import (
    AlertmanagerServer,
    PostgresServer,
    PrometheusServer,
    ServerFailed,
    free_port,
)
from worlds.servers.process import ServerProcess

HOOK = "/hooks/alertmanager"
S = TypeVar("S", bound=ServerProcess)


class ClusterProcess(ServerProcess):
    """The in-memory cluster as a process of its own: it outlives an engine that is killed.

    Args:
        objects: a file of the objects that it begins with; None: the demo's.
    """

    title = "cluster"

    def __init__(self, folder: Path, objects: Path | None = None) -> None:
        super().__init__(folder)
        self.objects = objects

    @classmethod
    def missing(cls) -> str | None:
        return None

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def request_log(self) -> Path:
        return self.folder / "requests.jsonl"

    def prepare(self) -> Sequence[str]:
        objects = self.objects or files.write_objects(self.folder / "objects.yaml")
        return [
            *(sys.executable, "-m", "worlds.cluster", "--port", str(self.port)),
            *("--objects", str(objects), "--kubeconfig", str(self.kubeconfig)),
            *("--request-log", str(self.request_log)),
        ]

    def is_ready(self) -> bool:
        return self.kubeconfig.exists() and self.answers("/readyz")


class StanchProcess(ServerProcess):
    """`stanch serve`."""

    title = "stanch"
    ready_within = 60.0

    def __init__(self, folder: Path, config: Path, port: int) -> None:
        super().__init__(folder, port=port)
        self.config = config

    @classmethod
    def missing(cls) -> str | None:
        return None

    def prepare(self) -> Sequence[str]:
        return [
            sys.executable,
            "-m",
            "engine.edges.cli",
            "--config",
            str(self.config),
            "serve",
        ]

    def is_ready(self) -> bool:
        return self.answers("/readyz")


@dataclass
class Alerting:
    """Who fires the alert: the real pair, or what stands in for it."""

    prometheus: PrometheusServer | StandInPrometheus
    alertmanager: AlertmanagerServer | None

    @property
    def is_real(self) -> bool:
        """Whether an alert goes from Prometheus through Alertmanager by itself."""
        return isinstance(self.prometheus, PrometheusServer) and self.alertmanager is not None


class Stage:
    """Starts everything in `folder`, which is emptied first. Everything ends with the context.

    Args:
        stand_ins: go on as if no PostgreSQL, Prometheus and Alertmanager were installed.
    """

    cluster: ClusterProcess
    exporter: Exporter
    alerting: Alerting
    stanch: StanchProcess
    dsn: str | None = None

    def __init__(self, folder: Path, talk: Talk, *, stand_ins: bool = False) -> None:
        self.folder = folder.resolve()
        self._stand_ins = stand_ins
        self._talk = talk
        self._stack = ExitStack()
        self._servers: list[ServerProcess] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except ServerFailed as error:
            self._stack.close()
            raise DemoFailed(str(error)) from None
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def problem(self) -> str | None:
        """Return which server has ended by itself, with its last lines; None while all run."""
        for server in self._servers:
            if server.process is not None and server.process.poll() is not None:
                return (
                    f"{server.title} ended with code {server.process.returncode}\n{server.tail()}"
                )
        return None

    def value(self, query: str) -> float | None:
        """Ask Prometheus; None where there is no value."""
        answer = self._asking.get(
            f"{self.alerting.prometheus.url}/api/v1/query", params={"query": query}
        )
        answer.raise_for_status()
        result = answer.json()["data"]["result"]
        value = float(result[0]["value"][1]) if result else float("nan")
        return None if value != value else value  # noqa: PLR0124 - NaN is no value

    def failure_rate(self) -> float | None:
        """Return the failure rate as Prometheus sees it."""
        window = files.WINDOW
        return self.value(
            f"sum(rate(starforge_etl_snapshots_failed_total[{window}]))"
            f" / sum(rate(starforge_etl_snapshots_processed_total[{window}]))"
        )

    # ------------------------------------------------------------ starting

    def _start(self) -> None:
        self._asking = self._stack.enter_context(httpx.Client(timeout=5))
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        self.cluster = self._run(ClusterProcess(self.folder / "cluster"), "in-memory cluster")
        self.dsn = self._database()
        self.exporter = self._stack.enter_context(
            Exporter(self.cluster.url, self.dsn, token=ADMIN_TOKEN)
        )
        if self.exporter.problem:
            raise DemoFailed(f"the exporter cannot see its world: {self.exporter.problem}")
        port = free_port()
        self.alerting = self._alerting(f"http://127.0.0.1:{port}{HOOK}")
        config = files.write_config(
            self.folder / "stanch.yaml",
            listen=f"127.0.0.1:{port}",
            rules=files.write_rules(self.folder / "rules", sql=self.dsn is not None),
            kubeconfig=self.cluster.kubeconfig,
            prometheus=self.alerting.prometheus.url,
            # Without a database the rule says `sql: false`; the connection is then never opened.
            dsn=self.dsn or "postgresql://nobody@127.0.0.1:9/none",
        )
        self.stanch = self._run(StanchProcess(self.folder, config, port), "stanch serve, on SQLite")

    def _run(self, server: S, what: str) -> S:
        began = time.monotonic()
        self._stack.enter_context(server)
        self._servers.append(server)
        self._talk.say(f"{what}: ready after {time.monotonic() - began:.1f} s at {server.url}")
        return server

    def _lacking(self, server: type[ServerProcess]) -> str | None:
        return server.missing() or (
            "nothing, but stand-ins were asked for" if self._stand_ins else None
        )

    def _database(self) -> str | None:
        lacking = self._lacking(PostgresServer)
        if lacking:
            self._talk.say(f"NOTE no PostgreSQL: {lacking}; the SQL steps are skipped")
            return None
        from worlds.starforge import seed

        server = PostgresServer(self.folder / "postgres")
        self._run(server, "PostgreSQL with scratch data")
        dsn = server.create_database("starforge")
        seed(dsn)
        return dsn

    def _alerting(self, webhook: str) -> Alerting:
        manager: AlertmanagerServer | None = None
        lacking = self._lacking(AlertmanagerServer)
        if lacking:
            self._talk.say(
                f"NOTE no Alertmanager: {lacking}; the demo posts the payload it would send"
            )
        else:
            manager = AlertmanagerServer(self.folder / "alertmanager", webhook=webhook)
            self._run(manager, "Alertmanager")
        lacking = self._lacking(PrometheusServer)
        if lacking:
            self._talk.say(f"NOTE no Prometheus: {lacking}; a stand-in answers queries")
            stand_in = StandInPrometheus(self.exporter.metrics)
            return Alerting(self._stack.enter_context(stand_in), None)
        server = PrometheusServer(
            self.folder / "prometheus",
            targets={"etl": [self.exporter.address]},
            rules=[files.write_alert_rules(self.folder / "alert-rules.yml")],
            alertmanagers=[manager.address] if manager else (),
        )
        self._run(server, "Prometheus")
        return Alerting(server, manager)


def environment() -> dict[str, str]:
    """Return this process's environment without what would point a command at another server."""
    drop = {"STANCH_SERVER", "STANCH_TOKEN", "STANCH_CONFIG"}
    return {key: value for key, value in os.environ.items() if key not in drop}


def command(arguments: Sequence[str], server: str) -> subprocess.CompletedProcess[str]:
    """Run the `stanch` command as a person would, against the demo's server."""
    return subprocess.run(  # noqa: S603 - an argument list of our own
        [sys.executable, "-m", "engine.edges.cli", *arguments],
        env={**environment(), "STANCH_SERVER": server},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
