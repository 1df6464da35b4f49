"""A run that is claimed in the very transaction that made it: durable first, begun afterwards, lost never."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from engine.domain.run import RunMode, RunState
from engine.journal.store import Tx
from engine.running.requests import RunRequest
from engine.running.strays import Strays
from engine.running.worker import Worker
from tests.harness import Harness
from tests.harness_programs import program, setting
from tests.toys import Table


@pytest.fixture
def table() -> Table:
    return Table(x=1)


@pytest.fixture
def engine(tmp_path: Path, table: Table) -> Harness:
    harness = Harness(tmp_path, table)
    harness.programs["toys/test"] = program(setting("set", "x", 2))
    return harness


def create(engine: Harness, tx: Tx) -> str:
    request = RunRequest(playbook="toys/test", mode=RunMode.AUTO)
    return engine.commands.create_run(tx, request)


def test_a_run_is_taken_along_and_begun_once_durable(engine: Harness, table: Table) -> None:
    run_id, begin = engine.store.write(lambda tx: (create(engine, tx), engine.worker.take(tx)))
    row = engine.row(run_id)
    assert (row.owner, row.epoch) == (engine.worker.id, 1)
    assert table.writes == [], "nothing happens before it is durable and begun"
    begin()
    until = time.monotonic() + 10
    while not engine.ended(run_id):
        assert time.monotonic() < until
        time.sleep(0.005)
    assert engine.row(run_id).state is RunState.SUCCEEDED
    assert table.writes == [("x", 2)]


def test_nothing_is_taken_by_a_transaction_that_fails(engine: Harness, table: Table) -> None:
    def work(tx: Tx) -> None:
        create(engine, tx)
        engine.worker.take(tx)
        raise KeyError("mine")

    with pytest.raises(KeyError):
        engine.store.write(work)
    engine.settle()
    assert table.writes == []


def test_what_was_taken_and_never_begun_is_recovered(engine: Harness, table: Table) -> None:
    """As after a crash between the commit and the beginning."""
    run_id, _ = engine.store.write(lambda tx: (create(engine, tx), engine.worker.take(tx)))
    engine.clock.advance(6)
    engine.store.write(lambda tx: tx.workers.recover())
    assert engine.row(run_id).owner is None
    (row,) = engine.store.write(lambda tx: tx.runs.claim("another", 9))
    assert row.id == run_id


def test_a_worker_takes_no_more_than_it_has_threads_for(engine: Harness) -> None:
    def work(tx: Tx) -> list[str]:
        made = [create(engine, tx) for _ in range(3)]
        engine.worker.take(tx)
        return made

    owners = [engine.row(run_id).owner for run_id in engine.store.write(work)]
    assert owners == [engine.worker.id, engine.worker.id, None]


def test_what_was_taken_and_never_told_is_let_go_and_driven(engine: Harness, table: Table) -> None:
    """As after a commit that was kept and whose answer was lost: the owner lives and knows nothing of it."""
    worker = Worker(engine.services, threads=2, lease=0.3)
    worker.start()
    try:
        run_id, _ = engine.store.write(lambda tx: (create(engine, tx), worker.take(tx)))
        until = time.monotonic() + 60
        while not engine.ended(run_id):
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        worker.stop()
    assert engine.row(run_id).state is RunState.SUCCEEDED
    assert engine.row(run_id).epoch == 2
    assert table.writes == [("x", 2)]


def test_what_is_driven_is_not_let_go_and_what_strays_is_seen_twice_first(engine: Harness) -> None:
    run_id, _ = engine.store.write(lambda tx: (create(engine, tx), engine.worker.take(tx)))
    strays, mine = Strays(), engine.worker.id
    driven = {(run_id, 1)}
    for _ in range(3):
        seen, gone = engine.store.write(lambda tx: strays.let_go(tx, mine, driven))
        strays.saw(seen)
        assert (seen, gone) == (frozenset(), [])
    seen, gone = engine.store.write(lambda tx: strays.let_go(tx, mine, ()))
    assert (seen, gone) == (frozenset(driven), [])
    strays.saw(seen)
    _, gone = engine.store.write(lambda tx: strays.let_go(tx, mine, ()))
    assert gone == [run_id]
    assert engine.row(run_id).owner is None
    (again,) = engine.store.write(lambda tx: tx.runs.claim("another", 9))
    assert (again.id, again.epoch) == (run_id, 2)
