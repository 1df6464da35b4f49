"""However workers claim, let go, die and come back: one owner a run, none lost, no stale write kept."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.domain.clock import ManualClock
from engine.domain.entry import Entry
from engine.domain.errors import StaleOwner
from engine.domain.ids import new_id
from engine.domain.run import RunMode, RunState
from engine.journal.audit import verify
from engine.journal.database import Database, open_store
from engine.journal.keys import Keys
from engine.journal.rows import RunRow
from engine.journal.store import Tx
from tests.databases import put_database

LEASE = 5.0
KEYS = Keys.generate()
workers = st.integers(0, 2)


class Ownership(RuleBasedStateMachine):
    """Two nodes on one file against a model: who owns which run under which epoch, and what is ready."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="stanch-ownership-"))
        self.moved = 0.0
        self.clock = ManualClock()
        url = f"sqlite:///{put_database(self.folder / 'stanch.db')}"
        self.nodes = [open_store(url, keys=KEYS, clock=self.clock) for _ in range(2)]
        self.names = [f"w{n}" for n in range(3)]
        self.leases = dict.fromkeys(range(3), -1.0)  # until when; -1: never beat
        self.priority: dict[str, tuple[int, int]] = {}
        self.epoch: dict[str, int] = {}
        self.owner: dict[str, int | None] = {}
        self.ready: set[str] = set()
        self.held: dict[int, dict[str, int]] = {0: {}, 1: {}, 2: {}}  # what each worker believes
        self.written: dict[str, int] = {}
        self.turn = 0

    def node(self) -> Database:
        self.turn += 1
        return self.nodes[self.turn % 2]

    def teardown(self) -> None:
        for run, count in self.written.items():
            entries = self.nodes[0].read(lambda tx, r=run: tx.journal.read(r))  # type: ignore[misc]
            assert len(entries) == count
        assert verify(self.nodes[1]).ok
        for store in self.nodes:
            store.close()
        shutil.rmtree(self.folder)

    # ------------------------------------------------------------ what happens

    @rule(priority=st.integers(0, 9))
    def create(self, priority: int) -> None:
        run = new_id("run")

        def work(tx: Tx) -> None:
            tx.runs.create(
                RunRow(
                    *(run, "p", "d", None, None, RunState.QUEUED, RunMode.AUTO, priority),
                    *({}, {}, "alice", tx.now(), None, 0, None, ""),
                )
            )
            tx.journal.append(run, [Entry("run.created")])

        self.node().write(work)
        self.priority[run] = (-priority, len(self.priority))
        self.epoch[run], self.owner[run], self.written[run] = 0, None, 1
        self.ready.add(run)

    @rule(worker=workers)
    def beat(self, worker: int) -> None:
        alive = self.node().write(lambda tx: tx.workers.beat(self.names[worker], LEASE))
        assert alive
        self.leases[worker] = self.moved + LEASE

    @rule(worker=workers, limit=st.integers(1, 3))
    def claim(self, worker: int, limit: int) -> None:
        if self.leases[worker] < 0:
            return
        rows = self.node().write(lambda tx: tx.runs.claim(self.names[worker], limit))
        free = sorted(
            (r for r in self.ready if self.owner[r] is None), key=self.priority.__getitem__
        )
        assert [row.id for row in rows] == free[:limit]
        for row in rows:
            self.epoch[row.id] += 1
            assert row.epoch == self.epoch[row.id]
            self.owner[row.id] = worker
            self.ready.discard(row.id)
            self.held[worker][row.id] = row.epoch

    @precondition(lambda self: self.epoch)
    @rule(data=st.data(), worker=workers)
    def append(self, data: st.DataObject, worker: int) -> None:
        run = data.draw(st.sampled_from(sorted(self.epoch)))
        believed = self.held[worker].get(run)
        if believed is None:
            return

        def work(tx: Tx) -> None:
            tx.journal.append(run, [Entry("step")], epoch=believed)

        if believed == self.epoch[run] and self.owner[run] == worker:
            self.node().write(work)
            self.written[run] += 1
        else:
            with pytest.raises(StaleOwner):
                self.node().write(work)

    @precondition(lambda self: self.epoch)
    @rule(data=st.data(), worker=workers, ready=st.booleans())
    def release(self, data: st.DataObject, worker: int, ready: bool) -> None:
        run = data.draw(st.sampled_from(sorted(self.epoch)))
        believed = self.held[worker].get(run)
        if believed is None:
            return

        def work(tx: Tx) -> None:
            tx.runs.release(run, believed, ready=ready)

        if believed == self.epoch[run] and self.owner[run] == worker:
            self.node().write(work)
            self.owner[run] = None
            if ready:
                self.ready.add(run)
        else:
            with pytest.raises(StaleOwner):
                self.node().write(work)

    @precondition(lambda self: self.epoch)
    @rule(data=st.data())
    def wake(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(sorted(self.epoch)))
        self.node().write(lambda tx: tx.runs.wake(run))
        self.ready.add(run)

    @rule(seconds=st.sampled_from([1.0, 3.0, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.moved += seconds
        self.clock.advance(seconds)

    @rule()
    def recover(self) -> None:
        taken = self.node().write(lambda tx: tx.workers.recover())
        gone = [w for w, until in self.leases.items() if 0 <= until < self.moved]
        self._bury(gone, taken)

    @rule(worker=workers)
    def leave(self, worker: int) -> None:
        if self.leases[worker] < 0:
            return
        owned = sorted(r for r, owner in self.owner.items() if owner == worker)
        self.nodes[0].write(lambda tx: tx.workers.leave(self.names[worker]))
        self._bury([worker], owned)

    def _bury(self, gone: list[int], taken: Sequence[str]) -> None:
        assert sorted(taken) == sorted(r for r, owner in self.owner.items() if owner in gone)
        for run in taken:
            self.owner[run] = None
            self.epoch[run] += 1
            self.ready.add(run)
        for worker in gone:
            self.leases[worker] = -1.0
            self.names[worker] = new_id(
                "w"
            )  # a new process start; what it believed, it still believes

    @invariant()
    def rows_agree_with_the_model(self) -> None:
        for run, epoch in self.epoch.items():
            row = self.nodes[0].read(lambda tx, r=run: tx.runs.get(r))  # type: ignore[misc]
            assert row is not None
            owner = self.owner[run]
            assert (row.epoch, row.owner) == (
                epoch,
                None if owner is None else self.names[owner],
            )


TestOwnership = Ownership.TestCase
TestOwnership.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
