"""Batches under way, series by stage, failures that come back: made of what real runs have journalled."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.domain.errors import ActionFailed, Category
from engine.domain.run import RunMode
from engine.journal.rows import MeasureRow
from engine.journal.store import Tx
from engine.planning.progress import RunProgress
from engine.running.measures import measures, wording
from engine.running.measuring import KEPT
from engine.running.views import run_batches
from tests.harness import Harness
from tests.harness_programs import node, program
from tests.toys import Table

COVERS = ("C2", "C3", "C5")

HOUR = timedelta(hours=1)
LOOK_AT_X = program({"id": "look", "action": "toy.get", "with": {"name": "x"}})


@pytest.fixture
def engine(tmp_path: Path) -> Harness:
    return Harness(tmp_path, Table(x=1, y=1))


def each(**foreach: Any) -> Any:
    look = {"id": "look", "action": "toy.get", "with": {"name": "{{ item.name }}"}}
    rest = {"id": "rest", "kind": "wait", "for_": 60.0}
    return program(
        {
            "id": "each",
            "kind": "group",
            "foreach": {"items": "{{ inputs.all }}", "key": "{{ item.id }}", **foreach},
            "steps": [node(look), node(rest)],
        }
    )


def batches(engine: Harness, run: str) -> Any:
    row = engine.row(run)
    return engine.store.read(lambda tx: run_batches(tx, row, engine.clock.now()))


def test_a_batch_tells_its_items_its_errors_and_when_it_will_be_over(engine: Harness) -> None:
    names = ["x", "absent", "y", "x", "y", "x"]
    items = [{"id": f"i{n}", "name": name} for n, name in enumerate(names)]
    run = engine.start(each(concurrency=2, tolerate="50%"), all=items)
    engine.settle()
    (begun,) = batches(engine, run)
    assert (begun["total"], begun["done"], begun["failed"]) == (6, 0, 1)
    assert (begun["under_way"], begun["waiting"], begun["over"]) == (2, 3, False)
    assert list(begun["errors"].values()) == [1]
    assert begun["first_errors"][0]["key"] == "i1"
    engine.pass_time(60, step=60)
    (half,) = batches(engine, run)
    # Three of six are over after a minute: the other three take another one.
    assert (half["done"], half["failed"], half["progress"], half["eta"]) == (2, 1, 0.5, 60.0)
    engine.pass_time(120, step=60)
    (over,) = batches(engine, run)
    assert (over["over"], over["done"], over["failed"], over["waiting"]) == (True, 5, 1, 0)
    assert (over["progress"], over["eta"]) == (1.0, None)


def test_a_run_without_a_foreach_has_no_batches(engine: Harness) -> None:
    row = engine.run(program({"id": "look", "action": "toy.get", "with": {"name": "x"}}))
    assert batches(engine, row.id) == []


def measured(engine: Harness, runs: list[str], since: datetime, every: timedelta = HOUR) -> Any:
    until, wanted = engine.clock.now(), set(runs)

    def work(tx: Tx) -> Any:
        rows = [row for row in tx.measures.between(since, until) if row.run_id in wanted]
        return measures(rows, since, until, every)

    return engine.store.read(work)


def test_stages_are_counted_in_the_interval_in_which_they_began_and_ended(engine: Harness) -> None:
    since = engine.clock.now()
    steps = (
        {"id": "look", "action": "toy.get", "with": {"name": "x"}},
        {"id": "rest", "kind": "wait", "for_": 5400.0},
        {"id": "up", "action": "toy.set", "with": {"name": "x", "value": 2}},
    )
    run = engine.start(program(*steps), RunMode.AUTO)
    engine.settle()
    engine.pass_time(5400, step=5400)
    found = measured(engine, [run], since)
    assert found["runs"] == {"started": 1, "ended": {"succeeded": 1}, "success": 1.0}
    assert found["stages"]["toy.set"]["ended"] == 1
    assert found["stages"]["wait"]["seconds"] == {"median": 5400.0, "p95": 5400.0, "max": 5400.0}
    first, last = found["series"][0], found["series"][-1]
    assert (first["stages"]["wait"]["started"], first["stages"]["wait"]["ended"]) == (1, 0)
    assert (last["stages"]["wait"]["started"], last["stages"]["wait"]["ended"]) == (0, 1)
    assert "toy.set" not in first["stages"]
    later = measured(engine, [run], since + timedelta(minutes=30))
    assert (later["runs"]["started"], later["stages"]["wait"]["started"]) == (0, 0)
    assert later["stages"]["wait"]["ended"] == 1


def test_a_failure_of_two_runs_is_a_pattern_and_one_of_a_single_run_is_none(
    engine: Harness,
) -> None:
    since = engine.clock.now()
    runs = [
        engine.run(program({"id": "look", "action": "toy.get", "with": {"name": name}})).id
        for name in ("absent-1", "absent-22", "x")
    ]
    found = measured(engine, runs, since)
    assert found["runs"]["ended"] == {"failed": 2, "succeeded": 1}
    stage = found["stages"]["toy.get"]
    assert (stage["ended"], stage["failed"]) == (3, 2)
    (pattern,) = found["patterns"]
    assert (pattern["stage"], pattern["times"], pattern["runs"]) == (
        "toy.get",
        2,
        sorted(runs[:2]),
    )
    assert stage["errors"] == {pattern["category"]: 2}
    assert measured(engine, runs[1:], since)["patterns"] == []


def test_what_a_stage_took_of_the_machine_is_measured(engine: Harness) -> None:
    since = engine.clock.now()
    engine.table.on_read = lambda: sum(n * n for n in range(300_000))
    run = engine.run(LOOK_AT_X).id
    cheap = engine.run(program({"id": "rest", "kind": "wait", "for_": 60.0})).id
    engine.pass_time(60, step=60)
    stages = measured(engine, [run, cheap], since)["stages"]
    assert stages["toy.get"]["cpu_seconds"] > stages["wait"]["cpu_seconds"]
    assert stages["toy.get"]["cpu_seconds"] > 0.005
    assert stages["toy.get"]["peak_memory"] > 10 * 2**20


def test_a_week_is_kept_and_no_more(engine: Harness) -> None:
    day = timedelta(days=1)
    start = engine.clock.now()
    runs = []
    for _ in range(10):
        runs.append(engine.run(LOOK_AT_X).id)
        engine.clock.advance(day.total_seconds())
    week = measured(engine, runs, engine.clock.now() - KEPT, day)
    assert week["runs"] == {"started": 7, "ended": {"succeeded": 7}, "success": 1.0}
    assert week["stages"]["toy.get"]["ended"] == 7
    assert len(week["series"]) == 7
    engine.worker.step()
    assert measured(engine, runs, start, day)["runs"]["started"] == 7, "what is older is forgotten"
    engine.clock.advance(KEPT.total_seconds() + 1)
    engine.worker.step()
    assert measured(engine, runs, start, day)["runs"]["started"] == 0
    assert engine.row(runs[0]).state.value == "succeeded", "its journal is not"


def test_a_window_is_whole_however_much_is_in_it(engine: Harness) -> None:
    """More than is read or forgotten at a time, some of it at the very same moment."""
    since = engine.clock.now()
    rows = [
        MeasureRow("ended", f"r{n}", "s", "toy.get", "succeeded", started_at=since, attempts=2)
        for n in range(12_001)
    ]
    engine.store.write(lambda tx: tx.measures.add(rows[:11_000]))
    engine.clock.advance(1)
    engine.store.write(lambda tx: tx.measures.add(rows[11_000:]))
    names = [row.run_id for row in rows]
    stage = measured(engine, names, since)["stages"]["toy.get"]
    assert (stage["ended"], stage["started"], stage["retried"]) == (12_001, 12_001, 12_001)
    assert stage["seconds"] == {"median": 0.0, "p95": 1.0, "max": 1.0}
    first = engine.store.read(lambda tx: len(list(tx.measures.between(since, since))))
    assert first == 11_000
    forgotten = []
    while count := engine.store.write(lambda tx: tx.measures.prune(engine.clock.now())):
        forgotten.append(count)
    assert (sum(forgotten), max(forgotten)) == (11_000, 2000)


def test_what_is_under_way_counts_as_started_alone(engine: Harness) -> None:
    since = engine.clock.now()
    run = engine.start(program({"id": "rest", "kind": "wait", "for_": 60.0}))
    engine.settle()
    stage = measured(engine, [run], since)["stages"]["wait"]
    assert (stage["started"], stage["ended"]) == (1, 0)
    engine.pass_time(60, step=60)
    stage = measured(engine, [run], since)["stages"]["wait"]
    assert (stage["started"], stage["ended"]) == (1, 1)


def test_a_change_that_is_tried_again_began_once(engine: Harness) -> None:
    since = engine.clock.now()
    refusal = ActionFailed(Category.TRANSIENT, "reset", effect_possible=False)
    engine.table.faults = [refusal]
    up = {"id": "up", "action": "toy.set", "with": {"name": "x", "value": 2}}
    run = engine.start(program(up), RunMode.AUTO)
    engine.settle()
    engine.pass_time(60)
    stage = measured(engine, [run], since)["stages"]["toy.set"]
    assert (stage["started"], stage["ended"], stage["retried"]) == (1, 1, 1)
    assert stage["failed"] == 0


def test_wording_is_what_stays_of_a_message() -> None:
    one = wording("pod etl-7f9c4d5b8-x2x1 in 'starforge': timeout after 30s")
    other = wording("pod etl-6b8c4d5aa-q9k2 in 'other': timeout after 31s")
    assert one == other
    assert one != wording("pod etl-6b8c4d5aa-q9k2 in 'other': refused")


def test_progress_without_steps_has_nothing_to_tell(engine: Harness) -> None:
    from engine.planning.batches import batches_of

    assert batches_of(RunProgress(), engine.clock.now()) == []
