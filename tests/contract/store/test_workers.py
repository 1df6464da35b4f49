"""Leases, and what becomes of the runs of a worker that is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from engine.domain.entry import Entry
from engine.domain.errors import StaleOwner
from engine.journal.database import Database
from tests.contract.store.conftest import Place, make_run, owned


def test_a_beat_keeps_a_worker_alive_and_its_absence_ends_it(place: Place, store: Database) -> None:
    run = owned(store, "w1")
    store.write(lambda tx: tx.workers.beat("w2", 5.0))
    place.advance(4)
    assert store.write(lambda tx: tx.workers.beat("w1", 5.0))
    place.advance(2)
    assert store.read(lambda tx: tx.workers.alive()) == ["w1"]
    assert store.write(lambda tx: tx.workers.recover()) == []
    place.advance(4)
    assert store.write(lambda tx: tx.workers.recover()) == [run.id]
    assert store.write(lambda tx: tx.workers.recover()) == []
    assert store.read(lambda tx: tx.workers.alive()) == []


def test_a_worker_declared_dead_learns_it_and_never_owns_again(
    place: Place, store: Database
) -> None:
    run = owned(store, "w1")
    place.advance(6)
    assert store.write(lambda tx: tx.workers.recover()) == [run.id]
    assert not store.write(lambda tx: tx.workers.beat("w1", 5.0))
    assert store.write(lambda tx: tx.runs.claim("w1", 9)) == []
    (taken,) = store.write(lambda tx: tx.runs.claim("w2", 9))
    assert (taken.id, taken.epoch) == (run.id, 3)  # taken over, then claimed


def test_an_expired_lease_that_nobody_ended_is_renewed(place: Place, store: Database) -> None:
    owned(store, "w1")
    place.advance(60)
    assert store.write(lambda tx: tx.workers.beat("w1", 5.0))
    assert store.write(lambda tx: tx.workers.recover()) == []


def test_a_zombies_writes_are_refused_and_leave_no_trace(place: Place, store: Database) -> None:
    run = owned(store, "w1")
    place.advance(6)
    store.write(lambda tx: tx.workers.recover())
    for write in (
        lambda tx: tx.journal.append(run.id, [Entry("step.intent", {"late": True})], epoch=1),
        lambda tx: tx.runs.update(run.id, 1, reason="late"),
        lambda tx: tx.runs.release(run.id, 1),
    ):
        with pytest.raises(StaleOwner, match=run.id):
            store.write(write)
    kinds = [entry.kind for entry in store.read(lambda tx: tx.journal.read(run.id))]
    assert kinds == ["run.created"]


def test_a_worker_that_leaves_hands_its_runs_back_at_once(store: Database) -> None:
    run = owned(store, "w1")
    store.write(lambda tx: tx.workers.leave("w1"))
    assert store.read(lambda tx: tx.workers.alive()) == []
    (again,) = store.write(lambda tx: tx.runs.claim("w2", 9))
    assert again.id == run.id
    store.write(lambda tx: tx.workers.leave("never-there"))


def test_a_worker_that_claims_before_its_first_beat_has_a_lease_all_the_same(
    place: Place, store: Database
) -> None:
    run = store.write(make_run)
    assert len(store.write(lambda tx: tx.runs.claim("w1", 1))) == 1
    assert store.read(lambda tx: tx.workers.alive()) == ["w1"]
    place.advance(6)
    assert store.write(lambda tx: tx.workers.recover()) == [run]


def test_another_node_sees_a_living_workers_lease(place: Place) -> None:
    one, two = place.open(), place.open()
    run = owned(one, "w1")
    assert two.write(lambda tx: tx.workers.recover()) == []
    place.advance(6)
    assert two.write(lambda tx: tx.workers.recover()) == [run.id]


CHILD = """
import sys, time
from engine.journal.database import open_store
from engine.journal.keys import Keys
store = open_store(sys.argv[1], keys=Keys.generate())
store.write(lambda tx: tx.workers.beat("child", 3600.0))
rows = store.write(lambda tx: tx.runs.claim("child", 1))
print(rows[0].id, flush=True)
time.sleep(60)
"""


def test_the_death_of_a_process_is_noticed_before_its_lease_runs_out(
    place: Place, store: Database
) -> None:
    run = store.write(make_run)
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, place.url], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == run
        assert store.write(lambda tx: tx.workers.recover()) == []
        os.kill(child.pid, signal.SIGSTOP)
        assert store.write(lambda tx: tx.workers.recover()) == []  # stopped is not dead
        os.kill(child.pid, signal.SIGKILL)
        child.wait(10)
    until = time.monotonic() + 10
    while not (taken := store.write(lambda tx: tx.workers.recover())):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert taken == [run]
