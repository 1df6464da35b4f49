"""What is measured, and which items are done or taken: alike on both databases, decided once by several nodes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from engine.domain.run import RunState
from engine.journal.database import Database
from engine.journal.rows import MeasureRow
from engine.journal.store import Tx
from tests.contract.store.conftest import Place, make_run

COVERS = ("C3", "C8")
WEEK = timedelta(days=7)


def test_measures_come_back_in_order_and_are_forgotten_some_at_a_time(
    store: Database, place: Place
) -> None:
    began = store.read(lambda tx: tx.now())
    failed = MeasureRow(
        "ended", "run-1", "a[k\0].b", "toy.set", "failed", "data", began, 3, 0.25, 2**33, "why\0"
    )
    store.write(lambda tx: tx.measures.add([MeasureRow("run.began", "run-1"), failed]))
    place.advance(60)
    store.write(lambda tx: tx.measures.add([MeasureRow("run.ended", "run-1", state="failed")]))
    now = store.read(lambda tx: tx.now())
    rows = store.read(lambda tx: list(tx.measures.between(began - WEEK, now)))
    assert [row.event for row in rows] == ["run.began", "ended", "run.ended"]
    kept = rows[1]
    assert (kept.category, kept.attempts, kept.cpu, kept.memory) == ("data", 3, 0.25, 2**33)
    assert kept.started_at == began
    middle = began + timedelta(seconds=30)
    assert [r.event for r in store.read(lambda tx: list(tx.measures.between(middle, now)))] == [
        "run.ended"
    ]
    assert store.write(lambda tx: tx.measures.prune(middle)) == 2
    assert store.write(lambda tx: tx.measures.prune(middle)) == 0
    left = store.read(lambda tx: list(tx.measures.between(began - WEEK, now)))
    assert [row.event for row in left] == ["run.ended"]


def test_an_item_is_one_runs_until_it_ends_and_then_whoever_did_it(
    store: Database, place: Place
) -> None:
    first, second = store.write(lambda tx: (make_run(tx), make_run(tx)))
    since = store.read(lambda tx: tx.now()) - timedelta(hours=1)
    names = [f"content-{n}" for n in range(230)]
    assert store.write(lambda tx: tx.done_items.take(names, since, first)) == {}
    others = store.write(lambda tx: tx.done_items.take(names, since, second))
    assert {(row.run_id, row.done) for row in others.values()} == {(first, False)}
    assert len(others) == 230
    assert store.write(lambda tx: tx.done_items.take(names, since, first)) == {}, "its own"
    store.write(lambda tx: tx.done_items.done(first, names[0], "up[0]"))
    store.write(lambda tx: tx.done_items.release(first, names[1]))
    found = store.write(lambda tx: tx.done_items.take(names[:2], since, second))
    assert {name: row.done for name, row in found.items()} == {names[0]: True}

    def end(tx: Tx) -> None:
        tx.workers.beat("w", 60)
        (row,) = [row for row in tx.runs.claim("w", 9) if row.id == first]
        tx.runs.end(row.id, row.epoch, RunState.CANCELLED, "stop")

    store.write(end)
    found = store.read(lambda tx: tx.done_items.find(names, since, second))
    assert list(found) == names[:1], "of an ended run only what it did counts"
    store.write(lambda tx: tx.done_items.forget(first, ["up[0]"]))
    assert store.read(lambda tx: tx.done_items.find(names, since, second)) == {}
    place.advance(10)
    store.write(lambda tx: tx.done_items.prune(tx.now()))
    assert place.sql("SELECT count(*) FROM done_items") == [(0,)]


def test_of_many_runs_that_take_an_item_at_one_time_one_has_it(store: Database) -> None:
    runs = store.write(lambda tx: [make_run(tx) for _ in range(8)])
    since = store.read(lambda tx: tx.now()) - timedelta(hours=1)

    def take(run: str) -> bool:
        return not store.write(lambda tx: tx.done_items.take(["one"], since, run))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, runs)) == 1
