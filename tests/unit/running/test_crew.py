"""A P0 never waits behind a P2 for a worker, not even where every thread is in a long step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.domain.canonical import Json, JsonObject
from engine.domain.incident import PRIORITIES
from engine.domain.run import RunMode
from engine.running.requests import RunRequest
from engine.running.worker import Worker
from tests.harness import Harness
from tests.harness_programs import program
from tests.toys import Table


def writes(name: str) -> JsonObject:
    return {"id": name, "action": "toy.set", "with": {"name": name, "value": 2}}


class Slow(Table):
    """A system in which writing takes until `let_go`."""

    def __init__(self) -> None:
        super().__init__(x=1)
        self.inside = threading.Semaphore(0)
        self.let_go = threading.Event()

    def write(self, name: str, value: Json, key: str) -> None:
        self.inside.release()
        assert self.let_go.wait(60)
        super().write(name, value, key)


@pytest.fixture
def table() -> Slow:
    return Slow()


@pytest.fixture
def engine(tmp_path: Path, table: Slow) -> Harness:
    harness = Harness(tmp_path, table)
    for n in range(6):
        harness.programs[f"toys/slow-{n}"] = program(writes(f"a{n}"))
    both = [{**writes(name), "kind": "action"} for name in ("b1", "b2")]
    harness.programs["toys/slow-both"] = program({"id": "all", "kind": "parallel", "steps": both})
    quick: JsonObject = {"kind": "action", "action": "toy.get", "with": {"name": "x"}}
    looks = [{**quick, "id": name} for name in ("one", "two")]
    harness.programs["toys/quick"] = program({"id": "all", "kind": "parallel", "steps": looks})
    return harness


@pytest.fixture
def worker(engine: Harness, table: Slow) -> Iterator[Worker]:
    worker = Worker(engine.services, threads=2)
    worker.start()
    yield worker
    table.let_go.set()
    worker.stop()


def start(engine: Harness, playbook: str, priority: str) -> str:
    request = RunRequest(playbook=playbook, mode=RunMode.AUTO, priority=PRIORITIES[priority])
    return engine.store.write(lambda tx: engine.commands.create_run(tx, request))


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.usefixtures("worker")
def test_a_p0_is_driven_while_every_thread_is_in_a_long_step(engine: Harness, table: Slow) -> None:
    slow = [start(engine, f"toys/slow-{n}", "P2") for n in range(2)]
    for _ in slow:
        assert table.inside.acquire(timeout=60)
    waiting = start(engine, "toys/quick", "P1")
    urgent = start(engine, "toys/quick", "P0")
    until(lambda: engine.ended(urgent))
    assert not any(engine.ended(run) for run in (*slow, waiting))
    assert engine.row(waiting).owner is None, "what is kept free is for P0s alone"
    table.let_go.set()
    until(lambda: all(engine.ended(run) for run in (*slow, waiting)))


@pytest.mark.usefixtures("worker")
def test_the_steps_of_a_p0_run_side_by_side_while_others_fill_their_pool(
    engine: Harness, table: Slow
) -> None:
    slow = start(engine, "toys/slow-both", "P2")
    for _ in range(2):
        assert table.inside.acquire(timeout=60)
    urgent = start(engine, "toys/quick", "P0")
    until(lambda: engine.ended(urgent))
    assert not engine.ended(slow)


def test_p0s_that_are_too_many_wait_and_get_the_next_thread(
    engine: Harness, table: Slow, worker: Worker
) -> None:
    """What is kept free is a few threads, not as many as there are P0s; none is lost or driven twice."""
    runs = [start(engine, f"toys/slow-{n}", "P0") for n in range(6)]
    for _ in range(4):
        assert table.inside.acquire(timeout=60)
    assert sum(engine.row(run).owner == worker.id for run in runs) == 4
    table.let_go.set()
    until(lambda: all(engine.ended(run) for run in runs))
    assert [engine.row(run).epoch for run in runs] == [1] * 6
    assert sorted(table.writes) == [(f"a{n}", 2) for n in range(6)]
