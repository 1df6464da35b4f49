"""What the journal costs by itself: a durable write alone and at load, and whether history makes it dearer."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from engine.domain.alert import Alert, AlertStatus, Delivery
from engine.domain.entry import Entry
from engine.domain.ids import new_id
from engine.domain.run import RunMode, RunState
from engine.journal.database import Database, open_store
from engine.journal.keys import Keys
from engine.journal.rows import RunRow
from engine.journal.store import Tx

INTENT = {
    "address": "steps.scale",
    "key": "0" * 64,
    "attempt": 1,
    "action": "kubernetes.scale",
    "target": {"connection": "cluster", "path": "etl/Deployment/worker"},
    "before": {"replicas": 3},
    "after": {"replicas": 5},
    "counts": {"pods": 2},
    "summary": "scale etl/worker from 3 to 5",
}


@dataclass(frozen=True)
class JournalFigures:
    """Milliseconds each: a durable fenced append alone (median), one of many at load, and the same kinds
    of work (accept, create, claim, append, release) for one run without and with history."""

    alone_ms: float
    loaded_ms: float
    young_ms: float
    old_ms: float


def measure(
    folder: Path, *, writes: int = 2000, history: int = 0, parked: int = 0
) -> JournalFigures:
    """Measure a new SQLite journal in `folder`.

    Args:
        history: ended runs to put there before `old_ms` is taken, with their entries.
        parked: runs that wait, in addition.
    """
    path = folder / "journal.db"
    store = open_store(f"sqlite:///{path}", keys=Keys.generate())
    try:
        owned = [_owned(store) for _ in range(20)]
        alone = sorted(_timed(lambda: store.write(_append(owned[0]))) for _ in range(writes // 10))
        started = time.perf_counter()
        futures = [store.submit(_append(owned[n % len(owned)])) for n in range(writes)]
        for future in futures:
            future.result()
        loaded = (time.perf_counter() - started) / writes
        young = _whole(store)
        fill(path, history, parked)
        old = _whole(store) if history or parked else young
    finally:
        store.close()
    return JournalFigures(alone[len(alone) // 2] * 1000, loaded * 1000, young * 1000, old * 1000)


def fill(path: Path, ended: int, parked: int) -> None:
    """Put runs of the past into the file, two entries each, as fast as SQLite takes them."""
    columns = (
        "id, playbook, program, rule, state, mode, priority, inputs, trigger, requester, created_at, "
        "ended_at, epoch, ready, reason"
    )
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    connection.execute("BEGIN IMMEDIATE")
    states = [("succeeded", 1)] * ended + [("waiting", None)] * parked
    connection.executemany(
        f"INSERT INTO runs ({columns}) VALUES (?, 'p', 'd', 'r', ?, 'auto', 5, '{{}}', '{{}}', "
        "'bench', 1, ?, 2, 0, '')",
        ((f"run-0{n:012d}", state, end) for n, (state, end) in enumerate(states)),
    )
    connection.executemany(
        "INSERT INTO entries (chain, n, at, kind, body, hash) VALUES (?, ?, 1, 'step.intent', ?, ?)",
        (
            (f"run-0{n:012d}", k, '{"summary": "as long as such an entry is"}', b"0" * 32)
            for n in range(len(states))
            for k in (1, 2)
        ),
    )
    connection.execute("COMMIT")
    connection.close()


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _append(run: RunRow) -> Callable[[Tx], int]:
    return lambda tx: tx.journal.append(run.id, [Entry("step.intent", INTENT)], epoch=run.epoch)


def _owned(store: Database) -> RunRow:
    def work(tx: Tx) -> RunRow:
        tx.workers.beat("bench", 3600.0)
        _create(tx)
        return tx.runs.claim("bench", 1)[0]

    return store.write(work)


def _create(tx: Tx) -> None:
    run = new_id("run")
    tx.runs.create(
        RunRow(
            *(run, "p", "d", "r", None, RunState.QUEUED, RunMode.AUTO, 5, {}, {}, "bench"),
            *(tx.now(), None, 0, None, ""),
        )
    )
    tx.journal.append(run, [Entry("run.created", {"playbook": "p"})])


def _whole(store: Database, rounds: int = 200) -> float:
    """Seconds for one alert's accept, run, claim, append and release, at load."""

    def work(n: int) -> Callable[[Tx], None]:
        alert = Alert(new_id("f"), AlertStatus.FIRING, {"alertname": "A"}, {}, datetime.now(UTC))
        delivery = Delivery("stanch", "g", {}, "", (alert,))

        def one(tx: Tx) -> None:
            tx.alerts.accept(delivery)
            tx.alerts.mark_decided([row.id for row in tx.alerts.undecided(1)])
            _create(tx)
            (run,) = tx.runs.claim("bench", 1)
            _append(run)(tx)
            tx.timers.fire()
            tx.runs.update(run.id, run.epoch, state=RunState.SUCCEEDED, ended=True)
            tx.runs.release(run.id, run.epoch)

        return one

    started = time.perf_counter()
    for future in [store.submit(work(n)) for n in range(rounds)]:
        future.result()
    return (time.perf_counter() - started) / rounds
