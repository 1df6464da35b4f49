"""`python -m bench.journal`: what the journal costs by itself, and whether history or parked runs make it dearer."""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import Bench, Size
from bench.report import Line, say, show
from bench.subjects import StanchProcess
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


@dataclass(frozen=True)
class ServerFigures:
    """Of a server: its memory, ready and after alerts, in MB, and ms from POST to effect (median)."""

    ready_mb: float
    worked_mb: float
    effect_ms: float


def serve(bench: Bench) -> tuple[Path, ServerFigures]:
    """Measure a server on the store that is there, or on a new one; return the store's file, too."""
    with StanchProcess(bench.folder / "served", bench.effects) as stanch:
        ready = stanch.memory_mb()
        effect, _ = bench.latency(stanch)
        return stanch.database, ServerFigures(ready, stanch.memory_mb(), effect)


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
    # The past is in the file, not in a log of a gigabyte that every read would have to look through.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
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


def lines_of(bench: Bench, *, history: int, parked: int) -> list[Line]:
    """Measure, each figure beside the same on a new store."""
    bench.say("a journal alone")
    (bench.folder / "journal").mkdir()
    figures = measure(bench.folder / "journal", history=history, parked=parked)
    bench.say("a server on a new store, and on one with a past")
    database, young = serve(bench)
    fill(database, history, parked)
    _, old = serve(bench)
    held = f"{history:,} ended and {parked:,} parked runs"
    return [
        Line("a durable write, alone", figures.alone_ms, "ms", "low"),
        Line("a durable write, at load", figures.loaded_ms, "ms", "low"),
        Line(
            f"what one run writes, with {held}", figures.old_ms, "ms", "low", floor=figures.young_ms
        ),
        Line(
            f"POST to first effect, p50, with {held}",
            old.effect_ms,
            "ms",
            "low",
            floor=young.effect_ms,
        ),
        Line(f"memory, ready, with {held}", old.ready_mb, "MB", "low", 300, floor=young.ready_mb),
        Line(
            f"memory, after alerts, with {held}",
            old.worked_mb,
            "MB",
            "low",
            300,
            floor=young.worked_mb,
        ),
    ]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.journal", description=__doc__)
    parser.add_argument("--history", type=int, default=1_000_000, help="ended runs")
    parser.add_argument("--parked", type=int, default=100_000, help="runs that wait")
    parser.add_argument("--quick", action="store_true", help="only show that everything runs")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    history, parked = (200, 50) if options.quick else (options.history, options.parked)

    with tempfile.TemporaryDirectory(prefix="stanch-bench-") as folder:
        bench = Bench(Path(folder), Size.of(quick=options.quick), say)
        lines = lines_of(bench, history=history, parked=parked)
    show(lines, as_json=options.json, width=150)
    return 0


if __name__ == "__main__":
    sys.exit(main())
