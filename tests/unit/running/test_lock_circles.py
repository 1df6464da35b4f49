"""Locks that only become known on the way can be asked for crosswise: one run gives way at once, and says why."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.domain.run import RunMode, RunState
from engine.journal.rows import RunRow
from engine.language.program import Program
from engine.running.lockwaits import who_gives_way
from tests.harness import ALICE, Harness
from tests.harness_programs import program, setting
from tests.toys import Table


@pytest.fixture
def table() -> Table:
    return Table(x=1, y=1, to_x="x", to_y="y")


@pytest.fixture
def engine(tmp_path: Path, table: Table) -> Harness:
    return Harness(tmp_path, table)


def crosswise(first: str, pointer: str, wait: int, **more: object) -> Program:
    """Changes `first`, waits, then changes what `pointer` names: its second lock is known late."""
    return program(
        setting("one", first, 2),
        {"id": "pause", "kind": "wait", "for_": wait},
        {"id": "where", "action": "toy.get", "with": {"name": pointer}},
        setting("two", "{{ steps.where.value }}", 3, bounds={"value": {"max": 5}}, **more),
    )


def start(engine: Harness, plan: Program, priority: int) -> str:
    engine.programs[plan.playbook] = plan
    return engine.commands.start(
        plan.playbook, {}, requester=ALICE, mode=RunMode.AUTO, priority=priority
    )


@pytest.mark.parametrize("last", ["urgent", "minor"])
def test_of_two_runs_that_wait_for_each_other_the_minor_one_fails_at_once(
    engine: Harness, table: Table, last: str
) -> None:
    """Whichever closes the circle: the other would have waited until its run's time-out."""
    slow = {"urgent": 60, "minor": 60, last: 90}
    urgent = start(engine, crosswise("x", "to_y", slow["urgent"]), 9)
    minor = start(engine, crosswise("y", "to_x", slow["minor"]), 5)
    engine.settle()
    engine.pass_time(100)
    assert engine.row(minor).state is RunState.FAILED
    message = engine.outcome(minor, "two")["message"]
    assert f"locked by {urgent}" in message
    assert f"{minor} for {urgent}, then {minor}" in message
    assert "start it again later" in message
    assert engine.row(urgent).state is RunState.SUCCEEDED
    assert table.writes == [("x", 2), ("y", 2), ("y", 3)]
    assert engine.store.read(lambda tx: (tx.locks.held(), tx.locks.waiting())) == ({}, [])


def test_a_run_that_gave_way_undoes_what_it_had_done_as_its_playbook_says(
    engine: Harness, table: Table
) -> None:
    urgent = start(engine, crosswise("x", "to_y", 60), 9)
    minor = start(engine, crosswise("y", "to_x", 60, on_failure="undo"), 5)
    engine.settle()
    engine.pass_time(80)
    assert engine.row(minor).state is RunState.UNDONE
    assert engine.row(urgent).state is RunState.SUCCEEDED
    assert table.writes == [("x", 2), ("y", 2), ("y", 1), ("y", 3)]


def test_waiting_for_a_run_that_waits_for_nobody_is_no_circle(
    engine: Harness, table: Table
) -> None:
    holder = start(engine, crosswise("x", "to_x", 60), 5)
    engine.settle()
    waiter = start(engine, program(setting("set", "x", 3)), 9)
    engine.settle()
    assert engine.row(waiter).state is RunState.WAITING
    engine.pass_time(80)
    assert engine.row(holder).state is RunState.SUCCEEDED
    assert engine.row(waiter).state is RunState.SUCCEEDED


def row(name: str, priority: int, second: int) -> RunRow:
    return RunRow(
        id=name,
        playbook="p",
        program="d",
        rule=None,
        incident_id=None,
        state=RunState.RUNNING,
        mode=RunMode.AUTO,
        priority=priority,
        inputs={},
        trigger={},
        requester="alice",
        created_at=datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC),
        ended_at=None,
        epoch=1,
        owner="w",
        reason="",
    )


def test_who_gives_way_does_not_depend_on_who_asks() -> None:
    old, young, minor = row("run-1", 5, 1), row("run-2", 5, 2), row("run-0", 4, 0)
    assert who_gives_way([old, young]) == who_gives_way([young, old]) == "run-2"
    assert who_gives_way([old, young, minor]) == who_gives_way([minor, young, old]) == "run-0"
    same = row("run-3", 5, 2)
    assert who_gives_way([young, same]) == who_gives_way([same, young]) == "run-3"
