"""kill -9 of the real process around every journal write and every effect of a whole run (DESIGN promise 4).

Effects are counted at the targets: rows of a real PostgreSQL, writes in the cluster's request log, POSTs at
an HTTP server without idempotency, lines of the decisions log. One effect each and the same end, or an
honest needs_human exactly where the effect is unprotected.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.incidents.batch import HURRIED
from tests.conftest import need
from tests.databases import put_database
from tests.faults.killing import PLAYBOOK, RULES, CountingServer, Engine, alert, settings_of
from worlds.servers import PostgresServer
from worlds.servers.process import free_port

pytestmark = pytest.mark.real

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: %s, namespace: default}
spec:
  replicas: 1
  selector: {matchLabels: {app: %s}}
  template:
    metadata: {labels: {app: %s}}
    spec: {containers: [{name: app, image: "registry.invalid/app:1"}]}
"""


class World:
    """What outlives the engine."""

    def __init__(self, folder: Path, dsn: str) -> None:
        import psycopg

        self.folder = folder
        self.dsn = dsn
        self.database = psycopg.connect(dsn, autocommit=True)
        self.database.execute("CREATE TABLE counters (id text PRIMARY KEY, n int NOT NULL)")
        self._open = contextlib.ExitStack()
        self.web = self._open.enter_context(CountingServer())
        self.log = folder / "cluster.jsonl"
        self.kubeconfig = folder / "kubeconfig"
        self.cluster = subprocess.Popen(
            [
                *(sys.executable, "-m", "worlds.cluster", "--port", "0"),
                *("--request-log", str(self.log), "--kubeconfig", str(self.kubeconfig)),
            ],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert self.cluster.stdout is not None
        self.cluster.stdout.readline()

    def engine(self, case: str, store: str = "sqlite:///stanch.db") -> Engine:
        """A fresh engine with its own journal, and its targets in the world."""
        folder = self.folder / case
        folder.mkdir()
        port = free_port()
        for name, text in (("rules.yaml", RULES), ("repair.yaml", PLAYBOOK)):
            (folder / name).write_text(text)
        (folder / "dsn").write_text(self.dsn)
        put_database(folder / "stanch.db")
        (folder / "store").write_text(store)
        settings = settings_of(folder, port, str(self.kubeconfig), self.web.url)
        (folder / "stanch.yaml").write_text(json.dumps(settings))
        self.database.execute("INSERT INTO counters VALUES (%s, 0)", [case])
        self.create_deployment(case)
        return Engine(folder, port)

    def create_deployment(self, case: str) -> None:
        import yaml
        from kubernetes import client, config

        api = client.ApiClient(configuration=_configuration(config, client, self.kubeconfig))
        client.AppsV1Api(api).create_namespaced_deployment(
            "default", yaml.safe_load(DEPLOYMENT % ((case,) * 3))
        )

    def rows(self, case: str) -> int:
        found = self.database.execute("SELECT n FROM counters WHERE id = %s", [case]).fetchone()
        assert found is not None
        return int(found[0])

    def scalings(self, case: str) -> int:
        """Writes to the deployment by the engine that the cluster let through."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return sum(
            bool(line["wrote"]) and line["method"] == "PATCH" and case in line["path"]
            for line in lines
        )

    def posts(self, case: str) -> int:
        return self.web.posts[f"/{case}"]

    def decisions(self, case: str) -> int:
        path = self.folder / case / "decisions.log"
        return path.read_text().count(f"CASE={case}") if path.exists() else 0

    def close(self) -> None:
        self.database.close()
        self._open.close()
        self.cluster.terminate()
        self.cluster.wait()


def _configuration(config: Any, client: Any, path: Path) -> Any:
    found = client.Configuration()
    config.load_kube_config(str(path), context="admin", client_configuration=found)
    return found


@pytest.fixture(scope="module")
def world(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    need(PostgresServer)
    name = f"kill_{time.time_ns()}"
    made = World(tmp_path_factory.mktemp("kill"), postgres_server.create_database(name))
    yield made
    made.close()


def survive(
    engine: Engine,
    case: str,
    fault: str | None,
    *,
    forked: bool = True,
    crowd: int = 0,
    found: Callable[[], None] = lambda: None,
) -> tuple[bool, dict[str, Any]]:
    """Live through one fault. Returns whether the process was killed, and the run at rest.

    Args:
        crowd: alerts besides that nothing is done for.
        found: looks at what a killed process left.
    """
    body = alert(case, crowd=crowd)
    engine.start(fault, forked=forked)
    killed = False
    posted = engine.until(lambda: engine.request("POST", "/hooks/alertmanager", body))
    rested = posted and engine.until(lambda: at_rest(engine))
    if not rested:
        killed = True
        found()
        engine.start(forked=forked)
        # Alertmanager, too, sends again what was not answered; and a duplicate where it was.
        engine.until(lambda: engine.request("POST", "/hooks/alertmanager", body), or_dead=False)
        rested = engine.until(lambda: at_rest(engine), or_dead=False)
    assert rested
    engine.stop()
    return killed, rested


def at_rest(engine: Engine) -> dict[str, Any] | None:
    """The one run, once it has ended or waits for a person."""
    answer = engine.request("GET", "/api/v1/runs")
    runs = answer["items"] if answer else []
    assert len(runs) <= 1, "one alert made several runs"
    if runs and runs[0]["state"] in {"succeeded", "failed", "needs_human", "undone", "cancelled"}:
        return dict(runs[0])
    return None


def judge(world: World, case: str, run: dict[str, Any]) -> None:
    """The same end with one effect each, or an honest needs_human at the unprotected one."""
    assert world.rows(case) == 1
    assert world.scalings(case) == 1
    if run["state"] == "needs_human":
        assert run["reason"].startswith("post: interrupted between effect and outcome")
        assert world.posts(case) <= 1
        assert world.decisions(case) == 0
        return
    assert run["state"] == "succeeded", run
    assert world.posts(case) == 1
    assert world.decisions(case) == 1


def test_without_a_fault_everything_happens_once(world: World) -> None:
    case = "plain"
    killed, run = survive(world.engine(case), case, None, forked=False)
    assert not killed
    assert run["state"] == "succeeded"
    judge(world, case, run)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("phase", ["before", "after"])
def test_killed_around_every_commit(world: World, phase: str) -> None:
    """For N = 1, 2, 3 … until a run goes through without meeting the Nth commit."""
    for number in range(1, 60):
        case = f"c{number}-{phase}"
        engine = world.engine(case)
        killed, run = survive(engine, case, f"commit:{number}:{phase}")
        judge(world, case, run)
        if not killed:
            assert number > 8, "so few commits cannot have been a whole run"
            break
    else:
        pytest.fail("the process met the sixtieth commit: background work commits without end")


@pytest.mark.timeout(200)
def test_killed_between_accepting_and_deciding(world: World) -> None:
    """A lone alert is decided in the commit that accepts it; among many it is not, and may be left so."""
    left: list[tuple[int, int]] = []  # (alerts, undecided ones) of each killed process

    for number in range(1, 60):
        case = f"crowd{number}"
        engine = world.engine(case)

        def found(folder: Path = engine.folder) -> None:
            with contextlib.closing(sqlite3.connect(folder / "stanch.db")) as database:
                query = "SELECT count(*), coalesce(sum(decided = 0), 0) FROM alerts"
                left.append(database.execute(query).fetchone())

        fault = f"commit:{number}:after"
        killed, run = survive(engine, case, fault, crowd=HURRIED, found=found)
        judge(world, case, run)
        assert killed, "before the alerts were decided"
        if left[-1] == (HURRIED + 1, 0):
            break
    assert (HURRIED + 1, HURRIED + 1) in left


@pytest.mark.timeout(200)
@pytest.mark.parametrize("phase", ["before", "after"])
def test_killed_around_every_effect(world: World, phase: str) -> None:
    """Between every intent and its effect, and between every effect and its outcome."""
    states = []
    for number in range(1, 5):
        case = f"e{number}-{phase}"
        killed, run = survive(world.engine(case), case, f"effect:{number}:{phase}")
        assert killed
        judge(world, case, run)
        states.append(run["state"])
        if number == 3:
            assert world.posts(case) == (0 if phase == "before" else 1)
    # The third effect is the unprotected POST; a person is asked there and nowhere else.
    assert states == ["succeeded", "succeeded", "needs_human", "succeeded"]


@pytest.mark.timeout(200)
@pytest.mark.parametrize("fault", [None, "commit:4:after", "effect:1:after", "effect:2:before"])
def test_the_same_on_a_postgres_store(
    world: World, postgres_server: PostgresServer, fault: str | None
) -> None:
    case = f"pg-{fault or 'plain'}".replace(":", "-")
    store = postgres_server.create_database(f"store_{time.time_ns()}")
    killed, run = survive(world.engine(case, store), case, fault)
    assert killed is (fault is not None)
    assert run["state"] == "succeeded"
    judge(world, case, run)
