"""Before-images that are gone: an undo says so and restores nothing, and those of runs under way stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.domain.run import RunState
from engine.running.conflicts import conflicts_of, images_of, wanted_changes
from engine.running.services import Retention
from tests.harness import ALICE, BOB, Harness
from tests.harness_programs import program, setting
from tests.toys import Table

HOUR = 3600.0


@pytest.fixture
def table() -> Table:
    return Table(x=1, y=10)


@pytest.fixture
def engine(tmp_path: Path, table: Table) -> Harness:
    return Harness(tmp_path, table)


def undone(engine: Harness, run: str, *steps: str) -> str:
    """Undo steps of a run with everybody's approval; return the undo's run."""
    undo = engine.commands.undo(run, ALICE, steps)["run"]
    engine.settle()
    engine.commands.approve(undo, BOB)
    engine.settle()
    return str(undo)


def test_an_image_that_was_forgotten_is_told_and_the_change_stays(
    engine: Harness, table: Table
) -> None:
    wait = {"id": "later", "kind": "wait", "for_": 2 * HOUR}
    plan = program(setting("one", "x", 2), wait, setting("two", "y", 20))
    engine.services.retention = Retention(images=HOUR)
    run = engine.run(plan).id
    engine.pass_time(3 * HOUR, step=600)
    assert engine.row(run).state is RunState.SUCCEEDED
    changes = wanted_changes(engine.services, run, ())
    images, lost = images_of(engine.services, run, changes)
    assert list(lost) == ["one"], "it is older than an hour"
    assert conflicts_of(engine.services, changes, images) == {}

    undo = undone(engine, run)
    assert engine.row(undo).state is RunState.NEEDS_HUMAN
    assert "one: its before-image is no longer kept" in engine.row(undo).reason
    assert table.values == {"x": 2, "y": 10}, "what can be undone is"
    assert table.writes == [("x", 2), ("y", 20), ("y", 10)]
    (step,) = engine.store.read(lambda tx: tx.blobs.plan(undo))["steps"]
    assert list(step["detail"]["lost"]) == ["one"], "people see it before they approve"


def test_images_of_a_run_under_way_stay_however_old(engine: Harness, table: Table) -> None:
    """Its own `on_failure: undo` needs them."""
    wait = {"id": "later", "kind": "wait", "for_": 5 * HOUR}
    engine.services.retention = Retention(images=HOUR)
    table.refuse.add("y")
    plan = program(setting("one", "x", 2), wait, setting("two", "y", 20, on_failure="undo"))
    run = engine.run(plan).id
    engine.pass_time(6 * HOUR, step=600)
    assert engine.row(run).state is RunState.UNDONE, engine.row(run).reason
    assert table.values == {"x": 1, "y": 10}


def test_images_are_kept_for_ever_where_nothing_says_otherwise(engine: Harness) -> None:
    run = engine.run(program(setting("one", "x", 2))).id
    engine.clock.advance(10 * 365 * 86400)
    engine.settle()
    _, lost = images_of(engine.services, run, wanted_changes(engine.services, run, ()))
    assert lost == {}
    assert engine.row(undone(engine, run)).state is RunState.SUCCEEDED


def test_an_image_that_is_not_the_journals_is_not_restored(engine: Harness, table: Table) -> None:
    """Whoever can write to the database and has its key still cannot choose what an undo writes."""
    run = engine.run(program(setting("one", "x", 2))).id
    (change,) = wanted_changes(engine.services, run, ())
    engine.store.write(lambda tx: tx.blobs.put_image(run, change.key, {"value": 666}))
    undo = undone(engine, run)
    assert engine.row(undo).state is RunState.NEEDS_HUMAN
    assert "not the one that the journal names" in engine.row(undo).reason
    assert table.values["x"] == 2
