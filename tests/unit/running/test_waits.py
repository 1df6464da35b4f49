"""Steps that take their time: waits, manual tasks, verifications, confirmations; and what stops them meanwhile."""

from __future__ import annotations

import pytest

from engine.domain.errors import InvalidInput, Refused
from engine.domain.run import RunState
from tests.harness import ALICE, CAROL, Harness
from tests.harness_programs import program, setting
from tests.toys import Table


def test_a_wait_holds_no_worker_and_ends_with_the_clock(engine: Harness, table: Table) -> None:
    run_id = engine.start(
        program({"id": "pause", "kind": "wait", "for_": 900}, setting("set", "x", 2))
    )
    engine.settle()
    row = engine.row(run_id)
    assert row.state is RunState.WAITING
    assert row.owner is None
    engine.pass_time(890, step=89)
    assert table.writes == []
    engine.pass_time(20)
    assert engine.row(run_id).state is RunState.SUCCEEDED


def test_waiting_for_a_query(engine: Harness, table: Table) -> None:
    wait = {
        "id": "calm",
        "kind": "wait",
        "query": {"connection": "toy", "query": "rate"},
        "becomes": {"op": "<", "value": 0.1},
        "within": 300,
        "every": 30,
    }
    good = engine.start(program(wait))
    engine.settle()
    engine.pass_time(60, step=30)
    table.values["rate"] = 0.01
    engine.pass_time(60, step=30)
    assert engine.row(good).state is RunState.SUCCEEDED
    table.values["rate"] = None
    bad = engine.start(program(wait))
    engine.settle()
    engine.pass_time(330, step=30)
    assert engine.row(bad).state is RunState.FAILED
    assert "no data" in engine.row(bad).reason


def test_stays_fails_with_the_first_violation(engine: Harness, table: Table) -> None:
    table.values["rate"] = 0.01
    wait = {
        "id": "calm",
        "kind": "wait",
        "query": {"connection": "toy", "query": "rate"},
        "stays": {"op": "<", "value": 0.1},
        "for_": 120,
        "every": 30,
    }
    good = engine.start(program(wait))
    engine.settle()
    engine.pass_time(150, step=30)
    assert engine.row(good).state is RunState.SUCCEEDED
    bad = engine.start(program(wait))
    engine.settle()
    table.values["rate"] = 0.7
    engine.pass_time(30, step=30)
    assert engine.row(bad).state is RunState.FAILED


def test_wait_until_a_read_says_so(engine: Harness, table: Table) -> None:
    wait = {
        "id": "done",
        "kind": "wait",
        "read_action": "toy.get",
        "read_with": {"name": "x"},
        "until": "result.value > 5",
        "within": 300,
        "every": 30,
    }
    run_id = engine.start(program(wait))
    engine.settle()
    table.values["x"] = 6
    engine.pass_time(60, step=30)
    assert engine.row(run_id).state is RunState.SUCCEEDED


def test_a_manual_step_is_done_with_a_note_by_its_role(engine: Harness) -> None:
    plan = program(
        {"id": "call", "kind": "manual", "text": "Tell Support", "role": "sre", "within": 600},
        outputs={"by": "{{ steps.call.by }}"},
    )
    run_id = engine.start(plan)
    engine.settle()
    with pytest.raises(Refused):
        engine.commands.done(run_id, "call", CAROL)
    with pytest.raises(InvalidInput):
        engine.commands.done(run_id, "other", ALICE)
    engine.commands.done(run_id, "call", ALICE, "told them")
    engine.settle()
    assert engine.entries(run_id)[-1].body["outputs"] == {"by": "alice"}


def test_verify_decides_whether_a_change_helped(engine: Harness, table: Table) -> None:
    verify = {
        "query": {"connection": "toy", "query": "rate"},
        "becomes": {"op": "<", "value": 0.1},
        "within": 120,
        "every": 30,
    }
    plan = program(setting("set", "x", 2, verify=verify, on_failure="undo"))
    good = engine.start(plan)
    engine.settle()
    assert engine.row(good).state is RunState.VERIFYING
    table.values["rate"] = 0.0
    engine.pass_time(60, step=30)
    assert engine.row(good).state is RunState.SUCCEEDED
    table.values.update(rate=0.9, x=1)
    bad = engine.start(plan)
    engine.settle()
    engine.pass_time(200, step=30)
    assert engine.row(bad).state is RunState.UNDONE
    assert table.values["x"] == 1


def test_confirm_may_take_its_time(engine: Harness, table: Table) -> None:
    table.slow_until = 3
    run_id = engine.start(program(setting("set", "x", 2)))
    engine.settle()
    assert engine.row(run_id).state is RunState.WAITING
    engine.pass_time(20, step=2)
    assert engine.row(run_id).state is RunState.SUCCEEDED
    assert table.writes == [("x", 2)]


def test_restore_puts_the_named_steps_back(engine: Harness, table: Table) -> None:
    plan = program(
        setting("slower", "x", 5),
        setting("kept", "y", 6),
        {"id": "back", "kind": "restore", "restore": ["slower"]},
    )
    row = engine.run(plan)
    assert row.state is RunState.SUCCEEDED
    assert table.values["x"] == 1
    assert table.values["y"] == 6
    assert engine.outcome(row.id, "back")["output"] == {"restored": ["slower"]}


def test_cancel_puts_temporary_changes_back_and_runs_finally(engine: Harness, table: Table) -> None:
    plan = program(
        setting("slower", "x", 5),
        setting("kept", "y", 6),
        {"id": "pause", "kind": "wait", "for_": 900},
        {"id": "back", "kind": "restore", "restore": ["slower"]},
        **{"finally": [{"id": "bye", "action": "toy.say", "with": {"text": "bye"}}]},
    )
    run_id = engine.start(plan)
    engine.settle()
    engine.commands.cancel(run_id, ALICE, "enough")
    engine.settle()
    assert engine.row(run_id).state is RunState.CANCELLED
    assert table.values["x"] == 1
    assert table.values["y"] == 6
    assert table.said == ["bye"]
    with pytest.raises(Refused):
        engine.commands.cancel(run_id, ALICE)


def test_a_run_that_takes_too_long_fails_and_finally_runs(engine: Harness, table: Table) -> None:
    plan = program(
        {"id": "pause", "kind": "wait", "for_": 9000},
        timeout=600,
        **{"finally": [{"id": "bye", "action": "toy.say", "with": {"text": "bye"}}]},
    )
    run_id = engine.start(plan)
    engine.settle()
    engine.pass_time(700, step=100)
    assert engine.row(run_id).state is RunState.FAILED
    assert "longer than 600 s" in engine.row(run_id).reason
    assert table.said == ["bye"]
