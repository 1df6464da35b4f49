"""What lets a run go on and what holds it: gates and their quorum, drift, brakes, budgets, locks."""

from __future__ import annotations

import pytest

from engine.domain.errors import Refused
from engine.domain.people import Actor
from engine.domain.run import RunMode, RunState
from tests.harness import ALICE, BOB, CAROL, Harness
from tests.harness_programs import program, setting
from tests.toys import Table

# ---------------------------------------------------------------- gates


def test_approve_mode_waits_for_a_person_who_did_not_ask(engine: Harness, table: Table) -> None:
    run_id = engine.start(program(setting("set", "x", 2)), RunMode.APPROVE)
    engine.settle()
    assert engine.row(run_id).state is RunState.AWAITING_APPROVAL
    with pytest.raises(Refused, match="asked for this run"):
        engine.commands.approve(run_id, ALICE)
    with pytest.raises(Refused, match="lacks the role sre"):
        engine.commands.approve(run_id, CAROL)
    assert table.writes == []
    engine.commands.approve(run_id, BOB, "go")
    engine.settle()
    assert engine.row(run_id).state is RunState.SUCCEEDED
    assert table.writes == [("x", 2)]
    with pytest.raises(Refused, match="no open gate"):
        engine.commands.approve(run_id, BOB)


def test_a_run_that_waits_for_approval_can_be_cancelled(engine: Harness, table: Table) -> None:
    run_id = engine.start(program(setting("set", "x", 2)), RunMode.APPROVE)
    engine.settle()
    engine.commands.cancel(run_id, ALICE, "not needed")
    engine.settle()
    assert engine.row(run_id).state is RunState.CANCELLED
    assert all(
        gate.state == "withdrawn" for gate in engine.store.read(lambda tx: tx.gates.of_run(run_id))
    )
    assert table.writes == []


def test_what_was_read_before_the_gate_is_not_read_again(engine: Harness, table: Table) -> None:
    plan = program(
        {"id": "now", "action": "toy.get", "with": {"name": "y"}},
        setting("set", "x", "{{ steps.now.value }}"),
    )
    run_id = engine.start(plan, RunMode.APPROVE)
    engine.settle()
    table.values["y"] = 4711
    engine.commands.approve(run_id, BOB)
    engine.settle()
    assert engine.row(run_id).state is RunState.SUCCEEDED
    assert table.writes == [("x", 10)]
    assert table.reads.count("y") == 1


def test_reads_alone_need_no_approval(engine: Harness) -> None:
    plan = program({"id": "now", "action": "toy.get", "with": {"name": "x"}})
    assert engine.run(plan, RunMode.APPROVE).state is RunState.SUCCEEDED


def test_a_rejection_cancels_and_a_time_out_expires(engine: Harness, table: Table) -> None:
    first = engine.start(program(setting("set", "x", 2)), RunMode.APPROVE)
    engine.settle()
    engine.commands.reject(first, BOB, "not now")
    engine.settle()
    assert engine.row(first).state is RunState.CANCELLED
    second = engine.start(program(setting("set", "x", 2)), RunMode.APPROVE)
    engine.settle()
    engine.pass_time(3700, step=3700)
    assert engine.row(second).state is RunState.EXPIRED
    with pytest.raises(Refused):
        engine.commands.approve(second, BOB)
    assert table.writes == []


def test_drift_before_the_quorum_voids_the_approval_and_asks_again(
    engine: Harness, table: Table
) -> None:
    run_id = engine.start(program(setting("set", "x", 2)), RunMode.APPROVE)
    engine.settle()
    table.values["x"] = 50
    engine.commands.approve(run_id, BOB)
    engine.settle()
    assert engine.row(run_id).state is RunState.AWAITING_APPROVAL
    assert table.writes == []
    drift = next(entry for entry in engine.entries(run_id) if entry.kind == "drift.found")
    assert (drift.body["planned"], drift.body["live"]) == (1, 50)
    gates = engine.store.read(lambda tx: tx.gates.of_run(run_id))
    assert sorted(gate.state for gate in gates) == ["open", "void"]
    engine.commands.approve(run_id, BOB)
    engine.settle()
    assert engine.row(run_id).state is RunState.SUCCEEDED
    assert table.writes == [("x", 2)]


def test_drift_under_way_voids_the_approval_of_what_remains(engine: Harness, table: Table) -> None:
    plan = program(
        setting("one", "x", 2),
        {"id": "pause", "kind": "wait", "for_": 60},
        setting("two", "y", 3),
    )
    run_id = engine.start(plan, RunMode.APPROVE)
    engine.settle()
    engine.commands.approve(run_id, BOB)
    engine.settle()
    assert table.writes == [("x", 2)]
    table.values["y"] = 77
    engine.pass_time(61, step=61)
    assert engine.row(run_id).state is RunState.AWAITING_APPROVAL
    assert table.writes == [("x", 2)]
    engine.commands.approve(run_id, BOB)
    engine.settle()
    assert engine.row(run_id).state is RunState.SUCCEEDED
    assert table.writes == [("x", 2), ("y", 3)]


def test_drift_in_auto_mode_needs_a_person_unless_it_leaves_a_no_op(
    engine: Harness, table: Table
) -> None:
    plan = program({"id": "pause", "kind": "wait", "for_": 60}, setting("set", "y", 3))
    first = engine.start(plan)
    engine.settle()
    table.values["y"] = 3
    engine.pass_time(61, step=61)
    assert engine.row(first).state is RunState.SUCCEEDED
    table.values["y"] = 10
    second = engine.start(plan)
    engine.settle()
    table.values["y"] = 4
    engine.pass_time(61, step=61)
    assert engine.row(second).state is RunState.NEEDS_HUMAN
    assert table.writes == []


def test_a_gate_step_wants_its_quorum(engine: Harness, table: Table) -> None:
    plan = program(
        {"id": "ok", "kind": "gate", "role": "sre", "approvals": 2, "within": 600},
        setting("set", "x", 2),
        outputs={"by": "{{ steps.ok.by }}"},
    )
    run_id = engine.start(plan, requester=CAROL)
    engine.settle()
    engine.commands.approve(run_id, ALICE, "fine")
    engine.settle()
    engine.commands.approve(run_id, ALICE, "fine again")
    engine.settle()
    assert engine.row(run_id).state is RunState.AWAITING_APPROVAL
    engine.commands.withdraw(run_id, ALICE)
    engine.commands.approve(run_id, BOB)
    engine.settle()
    assert table.writes == []
    engine.commands.approve(run_id, ALICE)
    engine.settle()
    assert engine.row(run_id).state is RunState.SUCCEEDED
    assert engine.entries(run_id)[-1].body["outputs"] == {"by": ["alice", "bob"]}


def test_the_playbooks_author_may_not_approve_it(engine: Harness) -> None:
    plan = program(setting("set", "x", 2), author="bob")
    run_id = engine.start(plan, RunMode.APPROVE)
    engine.settle()
    with pytest.raises(Refused, match="wrote its playbook"):
        engine.commands.approve(run_id, BOB)


def test_an_approval_of_another_plan_is_refused(engine: Harness) -> None:
    run_id = engine.start(program(setting("set", "x", 2)), RunMode.APPROVE)
    engine.settle()
    with pytest.raises(Refused, match="look again"):
        engine.commands.approve(run_id, BOB, fingerprint="0" * 64)


def test_a_stranger_without_the_role_is_told_which_is_missing(engine: Harness) -> None:
    run_id = engine.start(program(setting("set", "x", 2)), RunMode.APPROVE)
    engine.settle()
    with pytest.raises(Refused) as caught:
        engine.commands.approve(run_id, Actor("dave"))
    assert caught.value.missing_role == "sre"


# ---------------------------------------------------------------- brakes


def test_the_kill_switch_holds_before_the_next_effect(engine: Harness, table: Table) -> None:
    run_id = engine.start(
        program(
            setting("one", "x", 2),
            {"id": "pause", "kind": "wait", "for_": 60},
            setting("two", "y", 3),
        )
    )
    engine.settle()
    engine.commands.pause(ALICE, "the database is on fire")
    engine.pass_time(61, step=61)
    row = engine.row(run_id)
    assert row.state is RunState.HELD
    assert "the database is on fire" in row.reason
    assert table.writes == [("x", 2)]
    engine.commands.resume(ALICE, "it is out")
    engine.settle()
    assert engine.row(run_id).state is RunState.SUCCEEDED
    assert table.writes == [("x", 2), ("y", 3)]


def test_a_budget_is_asked_about_and_settled(engine: Harness, table: Table) -> None:
    engine.limit("pods", 3)

    def scale(value: int) -> dict[str, object]:
        return {"id": "set", "action": "toy.set", "with": {"name": "x", "value": value, "pods": 2}}

    assert engine.run(program(scale(2))).state is RunState.SUCCEEDED
    row = engine.run(program(scale(3)))
    assert row.state is RunState.AWAITING_APPROVAL
    assert "would exceed the budget" in row.reason
    assert table.writes == [("x", 2)]
    engine.commands.approve(row.id, BOB)
    engine.settle()
    assert engine.row(row.id).state is RunState.SUCCEEDED


def test_two_runs_never_hold_one_target(engine: Harness, table: Table) -> None:
    first = engine.start(program(setting("one", "x", 2), {"id": "w", "kind": "wait", "for_": 60}))
    engine.settle()
    second = engine.start(program(setting("two", "x", 3)))
    engine.settle()
    assert engine.row(second).state is RunState.WAITING
    assert table.writes == [("x", 2)]
    engine.pass_time(61, step=61)
    assert engine.row(first).state is RunState.SUCCEEDED
    # Its plan was made of a world that the other run then left: it is asked about, not forced.
    assert engine.row(second).state in {RunState.SUCCEEDED, RunState.NEEDS_HUMAN}
