"""Whole runs over the toy system: every step kind, every way a run can end. Asserts on effects and journals."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.domain.errors import ActionFailed, Category, InvalidInput, Refused
from engine.domain.people import Actor
from engine.domain.run import RunMode, RunState
from tests.harness import ALICE, BOB, CAROL, Harness
from tests.harness_programs import program, setting
from tests.toys import Table


@pytest.fixture
def table() -> Table:
    return Table(x=1, y=10, list=["a", "b", "c"], rate=0.5)


@pytest.fixture
def engine(tmp_path: Path, table: Table) -> Harness:
    return Harness(tmp_path, table)


# ---------------------------------------------------------------- the straight way


def test_a_run_reads_changes_and_ends(engine: Harness, table: Table) -> None:
    plan = program(
        {"id": "now", "action": "toy.get", "with": {"name": "x"}},
        setting("set", "x", "{{ steps.now.value + 1 }}"),
        outputs={"was": "{{ steps.now.value }}", "changed": "{{ steps.set is changed }}"},
    )
    row = engine.run(plan)
    assert row.state is RunState.SUCCEEDED
    assert table.writes == [("x", 2)]
    end = engine.entries(row.id)[-1]
    assert end.kind == "run.ended"
    assert end.body["outputs"] == {"was": 1, "changed": True}


def test_intent_stands_before_the_effect_and_outcome_after(engine: Harness) -> None:
    row = engine.run(program(setting("set", "x", 2)))
    kinds = engine.kinds(row.id)
    assert kinds.index("run.planned") < kinds.index("step.intent") < kinds.index("step.outcome")


def test_a_change_that_is_already_so_writes_nothing(engine: Harness, table: Table) -> None:
    row = engine.run(program(setting("set", "x", 1)))
    assert row.state is RunState.SUCCEEDED
    assert table.writes == []
    assert "step.intent" not in engine.kinds(row.id)
    assert engine.outcome(row.id, "set")["changed"] is False


def test_dry_run_ends_planned_and_writes_nothing(engine: Harness, table: Table) -> None:
    row = engine.run(program(setting("set", "x", 2)), RunMode.DRY_RUN)
    assert row.state is RunState.PLANNED
    assert table.writes == []
    document = engine.store.read(lambda tx: tx.blobs.plan(row.id))
    (line,) = document["steps"]
    assert (line["before"], line["after"]) == ({"value": 1}, {"value": 2})


def test_a_plan_chains_changes_of_one_target(engine: Harness, table: Table) -> None:
    row = engine.run(program(setting("one", "x", 2), setting("two", "x", 3)), RunMode.DRY_RUN)
    document = engine.store.read(lambda tx: tx.blobs.plan(row.id))
    assert [line["before"]["value"] for line in document["steps"]] == [1, 2]
    done = engine.run(program(setting("one", "x", 2), setting("two", "x", 3)))
    assert done.state is RunState.SUCCEEDED
    assert table.writes == [("x", 2), ("x", 3)]


def test_unplannable_fails_before_anything_changed(engine: Harness, table: Table) -> None:
    row = engine.run(program(setting("one", "x", 2), setting("two", "y", "unplannable")))
    assert row.state is RunState.FAILED
    assert "nothing was changed" in row.reason
    assert table.writes == []


# ---------------------------------------------------------------- flow


def test_when_skips_with_its_reason(engine: Harness, table: Table) -> None:
    plan = program(
        setting("no", "x", 2, when="inputs.go"),
        setting("yes", "y", 3, when="not (steps.no is succeeded)"),
    )
    row = engine.run(plan, go=False)
    assert table.writes == [("y", 3)]
    assert engine.outcome(row.id, "no") == {
        "state": "skipped",
        "address": "no",
        "reason": "when inputs.go is false",
    }


def test_switch_takes_one_case(engine: Harness, table: Table) -> None:
    plan = program(
        {"id": "now", "action": "toy.get", "with": {"name": "x"}},
        {
            "id": "which",
            "kind": "switch",
            "switch": "{{ 'one' if steps.now.value == 1 else 'many' }}",
            "cases": [
                {"value": "one", "steps": [{"kind": "action", **setting("a", "x", 5)}]},
                {"value": "many", "steps": [{"kind": "action", **setting("b", "x", 6)}]},
            ],
        },
    )
    assert engine.run(plan).state is RunState.SUCCEEDED
    assert table.writes == [("x", 5)]


def test_foreach_runs_once_an_item_and_lists_its_outputs(engine: Harness, table: Table) -> None:
    plan = program(
        {
            **setting("each", "{{ item.name }}", "{{ item.to }}"),
            "foreach": {"items": "{{ inputs.all }}", "key": "{{ item.name }}", "concurrency": 2},
        },
        outputs={"names": "{{ steps.each | map(attribute='key') | list }}"},
    )
    row = engine.run(plan, all=[{"name": "x", "to": 7}, {"name": "y", "to": 8}])
    assert row.state is RunState.SUCCEEDED
    assert sorted(table.writes) == [("x", 7), ("y", 8)]
    assert engine.entries(row.id)[-1].body["outputs"] == {"names": ["x", "y"]}


def test_a_foreach_that_was_approved_unseen_keeps_to_its_bound(
    engine: Harness, table: Table
) -> None:
    plan = program(
        {"id": "pause", "kind": "wait", "for_": 60},
        {"id": "look", "kind": "action", "action": "toy.get", "with": {"name": "n"}},
        {
            **setting("each", "{{ item | string }}", 1),
            "foreach": {"items": "{{ range(steps.look.value) | list }}"},
            "bounds": {"items": {"max": 2}, "value": {"max": 1}},
        },
    )
    for mode, parked in (
        (RunMode.APPROVE, RunState.AWAITING_APPROVAL),
        (RunMode.AUTO, RunState.NEEDS_HUMAN),
    ):
        table.values["n"] = 3
        run_id = engine.start(plan, mode)
        engine.settle()
        if mode is RunMode.APPROVE:
            engine.commands.approve(run_id, BOB)
            engine.settle()
        engine.pass_time(61, step=61)
        assert engine.row(run_id).state is parked
        assert table.writes == []
        drift = [entry.body for entry in engine.entries(run_id) if entry.kind == "drift.found"]
        assert drift[0]["field"] == "items"
        assert drift[0]["live"] == 3
    table.values["n"] = 2
    within = engine.start(plan, RunMode.APPROVE)
    engine.settle()
    engine.commands.approve(within, BOB)
    engine.settle()
    engine.pass_time(61, step=61)
    assert engine.row(within).state is RunState.SUCCEEDED
    assert table.writes == [("0", 1), ("1", 1)]


def test_a_foreach_beyond_its_bound_is_approved_once_it_is_seen(
    engine: Harness, table: Table
) -> None:
    plan = program(
        {"id": "pause", "kind": "wait", "for_": 60},
        {"id": "look", "kind": "action", "action": "toy.get", "with": {"name": "n"}},
        {
            **setting("each", "{{ item | string }}", 1),
            "foreach": {"items": "{{ range(steps.look.value) | list }}"},
            "bounds": {"items": {"max": 2}, "value": {"max": 1}},
        },
    )
    table.values["n"] = 3
    run_id = engine.start(plan, RunMode.APPROVE)
    engine.settle()
    engine.commands.approve(run_id, BOB)
    engine.settle()
    engine.pass_time(61, step=61)
    engine.commands.approve(run_id, BOB)
    engine.settle()
    assert engine.row(run_id).state is RunState.SUCCEEDED
    assert len(table.writes) == 3


def test_foreach_tolerates_as_many_failures_as_it_says(engine: Harness, table: Table) -> None:
    items = [{"name": name} for name in ("x", "absent", "y", "list")]
    plan = program(
        {
            "id": "each",
            "action": "toy.get",
            "with": {"name": "{{ item.name }}"},
            "foreach": {"items": "{{ inputs.all }}", "tolerate": "25%"},
        }
    )
    row = engine.run(plan, all=items)
    assert row.state is RunState.SUCCEEDED
    states = [item["state"] for item in engine.outcome(row.id, "each")["output"]]
    assert states == ["succeeded", "failed", "succeeded", "succeeded"]
    strict = program(
        {**plan.steps[0].model_dump(by_alias=True), "foreach": {"items": "{{ inputs.all }}"}}
    )
    assert engine.run(strict, all=items).state is RunState.FAILED


def test_parallel_joins_and_group_shares_its_when(engine: Harness, table: Table) -> None:
    plan = program(
        {
            "id": "both",
            "kind": "parallel",
            "steps": [
                {"kind": "action", **setting("a", "x", 5)},
                {"kind": "action", **setting("b", "y", 6)},
            ],
        },
        {
            "id": "never",
            "kind": "group",
            "when": "inputs.go",
            "steps": [{"kind": "action", **setting("c", "x", 9)}],
        },
    )
    row = engine.run(plan, go=False)
    assert row.state is RunState.SUCCEEDED
    assert sorted(table.writes) == [("x", 5), ("y", 6)]


def test_a_sub_playbook_has_its_own_inputs_steps_and_outputs(engine: Harness, table: Table) -> None:
    inner = program(
        setting("set", "{{ inputs.name }}", "{{ inputs.to }}"),
        inputs={
            "type": "object",
            "properties": {"name": {"type": "string"}, "to": {"type": "integer", "default": 4}},
            "required": ["name"],
        },
        outputs={"was": "{{ steps.set.before.value }}"},
    )
    call = {
        "id": "call",
        "kind": "playbook",
        "with": {"name": "x"},
        "program": inner.model_dump(by_alias=True),
    }
    row = engine.run(program(call, outputs={"was": "{{ steps.call.was }}"}))
    assert row.state is RunState.SUCCEEDED
    assert table.writes == [("x", 4)]
    assert engine.outcome(row.id, "call.set")["state"] == "succeeded"
    assert engine.entries(row.id)[-1].body["outputs"] == {"was": 1}


def test_end_ends_the_run_and_finally_still_runs(engine: Harness, table: Table) -> None:
    plan = program(
        {"id": "stop", "kind": "end", "end": "needs_human", "reason": "look at {{ inputs.what }}"},
        setting("never", "x", 2),
        **{"finally": [setting("last", "y", 0)]},
    )
    row = engine.run(plan, what="this")
    assert row.state is RunState.NEEDS_HUMAN
    assert row.reason == "look at this"
    assert table.writes == [("y", 0)]


# ---------------------------------------------------------------- failure


def test_a_failed_step_stops_what_comes_after_then_rescue_then_finally(
    engine: Harness, table: Table
) -> None:
    plan = program(
        {"id": "read", "action": "toy.get", "with": {"name": "absent"}},
        setting("never", "x", 2),
        rescue=[
            {
                "id": "tell",
                "action": "toy.say",
                "with": {"text": "{{ failure.step }}: {{ failure.category }}"},
            }
        ],
        **{"finally": [{"id": "bye", "action": "toy.say", "with": {"text": "bye"}}]},
    )
    row = engine.run(plan)
    assert row.state is RunState.FAILED
    assert table.writes == []
    assert table.said == ["read: permanent", "bye"]


def test_continue_goes_on_with_a_warning(engine: Harness, table: Table) -> None:
    plan = program(
        {"id": "read", "action": "toy.get", "with": {"name": "absent"}, "on_failure": "continue"},
        setting("set", "x", 2),
    )
    row = engine.run(plan)
    assert row.state is RunState.SUCCEEDED
    assert "read" in row.reason
    assert table.writes == [("x", 2)]


def test_undo_takes_back_newest_first_but_what_says_never(engine: Harness, table: Table) -> None:
    table.refuse = {"list"}
    plan = program(
        setting("one", "x", 2),
        setting("kept", "y", 11, undo="never"),
        setting("two", "x", 3),
        setting("bad", "list", ["z"], on_failure="undo"),
    )
    run_id = engine.start(plan)
    engine.settle()
    row = engine.row(run_id)
    assert row.state is RunState.UNDONE
    assert table.values["x"] == 1
    assert table.values["y"] == 11
    assert [name for name, _ in table.writes] == ["x", "y", "x", "x", "x"]


def test_a_conflict_on_undo_is_named_and_needs_a_person(engine: Harness, table: Table) -> None:
    table.refuse = {"list"}
    table.meddle = {"list": ("x", 99)}
    plan = program(setting("one", "x", 2), setting("bad", "list", ["z"], on_failure="undo"))
    row = engine.run(plan)
    assert row.state is RunState.NEEDS_HUMAN
    assert "x is 99: somebody changed it since" in row.reason
    assert table.values["x"] == 99


def test_transient_failures_are_tried_again_with_one_key(engine: Harness, table: Table) -> None:
    table.faults = [ActionFailed(Category.TRANSIENT, "reset", effect_possible=False)] * 2
    run_id = engine.start(program(setting("set", "x", 2)))
    engine.settle()
    engine.pass_time(30)
    assert engine.row(run_id).state is RunState.SUCCEEDED
    assert table.writes == [("x", 2)]
    assert engine.kinds(run_id).count("step.retry") == 2
    keys = {entry.body["key"] for entry in engine.entries(run_id) if entry.kind == "step.intent"}
    assert len(keys) == 1


def test_an_effect_whose_answer_was_lost_is_confirmed_not_repeated(
    engine: Harness, table: Table
) -> None:
    table.after = [ActionFailed(Category.TRANSIENT, "connection reset")]
    row = engine.run(program(setting("set", "x", 2)))
    assert row.state is RunState.SUCCEEDED
    assert table.writes == [("x", 2)]


def test_an_unprotected_effect_of_unknown_outcome_waits_for_a_person(
    engine: Harness, table: Table
) -> None:
    table.after = [ActionFailed(Category.TRANSIENT, "connection reset")]
    plan = program({"id": "push", "action": "toy.push", "with": {"name": "list", "value": "d"}})
    row = engine.run(plan)
    assert row.state is RunState.NEEDS_HUMAN
    assert len(table.writes) == 1
    engine.commands.done(row.id, "push", ALICE, "it is there")
    engine.settle()
    assert engine.row(row.id).state is RunState.SUCCEEDED
    assert len(table.writes) == 1


def test_an_unclassified_exception_stops_for_a_person(engine: Harness, table: Table) -> None:
    table.faults = [RuntimeError("boom")]
    row = engine.run(program(setting("set", "x", 2)))
    assert row.state is RunState.NEEDS_HUMAN
    assert "boom" in row.reason
    engine.commands.retry(row.id, ALICE, "it was a blip")
    engine.settle()
    assert engine.row(row.id).state is RunState.SUCCEEDED
    assert table.writes == [("x", 2)]


def test_retry_resumes_at_the_step_that_failed(engine: Harness, table: Table) -> None:
    plan = program(
        setting("one", "x", 2),
        {"id": "read", "action": "toy.get", "with": {"name": "late"}},
        setting("two", "y", 3),
    )
    row = engine.run(plan)
    assert row.state is RunState.FAILED
    table.values["late"] = 1
    engine.commands.retry(row.id, ALICE, "it is there now")
    engine.settle()
    assert engine.row(row.id).state is RunState.SUCCEEDED
    assert table.writes == [("x", 2), ("y", 3)]


def test_a_retry_leaves_items_alone_whose_failures_were_tolerated(
    engine: Harness, table: Table
) -> None:
    items = [{"name": name} for name in ("x", "late", "y", "later")]
    look = {"id": "look", "action": "toy.get", "with": {"name": "{{ item.name }}"}}
    put = {"id": "put", **setting("put", "{{ item.name }}", 7)}
    plan = program(
        {
            "id": "each",
            "kind": "group",
            "foreach": {"items": "{{ inputs.all }}", "key": "{{ item.name }}", "tolerate": "50%"},
            "steps": [{"kind": "action", **look}, {"kind": "action", **put}],
        },
        {"id": "check", "action": "toy.get", "with": {"name": "later"}},
    )
    row = engine.run(plan, all=items)
    assert row.state is RunState.FAILED
    assert table.writes == [("x", 7), ("y", 7)]
    table.values |= {"late": 1, "later": 1}
    engine.commands.retry(row.id, ALICE, "they are there now")
    engine.settle()
    assert engine.row(row.id).state is RunState.SUCCEEDED
    assert [name for name, _ in table.writes] == ["x", "y"]


def test_a_retry_repeats_only_the_items_that_failed(engine: Harness, table: Table) -> None:
    names = ["x", "late", "y", "later"]
    plan = program(
        {
            "id": "each",
            "action": "toy.push",
            "with": {"name": "{{ item }}", "value": 7},
            "foreach": {"items": "{{ inputs.all }}", "key": "{{ item }}", "tolerate": "25%"},
        }
    )
    table.values |= {name: [] for name in names}
    table.refuse |= {"late", "later"}
    row = engine.run(plan, all=names)
    assert row.state is RunState.FAILED
    assert [name for name, _ in table.writes] == ["x", "y"]
    table.refuse.clear()
    engine.commands.retry(row.id, ALICE, "they may be written now")
    engine.settle()
    assert engine.row(row.id).state is RunState.SUCCEEDED
    assert [name for name, _ in table.writes] == ["x", "y", "late", "later"]
    assert all(table.values[name] == [7] for name in names)


def test_escalate_parks_until_a_person_retries_or_cancels(engine: Harness, table: Table) -> None:
    plan = program(
        {"id": "read", "action": "toy.get", "with": {"name": "late"}, "on_failure": "escalate"},
        setting("set", "x", 2),
        **{"finally": [{"id": "bye", "action": "toy.say", "with": {"text": "bye"}}]},
    )
    first, second = engine.run(plan), engine.run(plan)
    assert first.state is second.state is RunState.NEEDS_HUMAN
    assert table.said == []
    engine.commands.cancel(first.id, ALICE)
    engine.settle()
    assert engine.row(first.id).state is RunState.CANCELLED
    assert table.said == ["bye"]
    table.values["late"] = 1
    engine.commands.retry(second.id, ALICE)
    engine.settle()
    assert engine.row(second.id).state is RunState.SUCCEEDED
    assert table.writes == [("x", 2)]


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


# ---------------------------------------------------------------- waits, manual, verify, restore


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


# ---------------------------------------------------------------- undo of an ended run, brakes


def test_undo_of_an_ended_run_is_a_gated_run_of_its_own(engine: Harness, table: Table) -> None:
    row = engine.run(program(setting("one", "x", 2), setting("two", "y", 3)))
    created = engine.commands.undo(row.id, ALICE)["run"]
    engine.settle()
    assert engine.row(created).state is RunState.AWAITING_APPROVAL
    assert table.values["x"] == 2
    engine.commands.approve(created, BOB)
    engine.settle()
    assert engine.row(created).state is RunState.SUCCEEDED
    assert (table.values["x"], table.values["y"]) == (1, 10)
    with pytest.raises(Refused, match="no change that is still in force"):
        engine.commands.undo(row.id, ALICE)


def test_undo_of_one_step_and_its_conflict(engine: Harness, table: Table) -> None:
    row = engine.run(program(setting("one", "x", 2), setting("two", "y", 3)))
    with pytest.raises(InvalidInput, match="these have: one, two"):
        engine.commands.undo(row.id, ALICE, ["three"])
    created = engine.commands.undo(row.id, ALICE, ["two"])["run"]
    engine.settle()
    table.values["y"] = 55
    engine.commands.approve(created, BOB)
    engine.settle()
    assert engine.row(created).state is RunState.AWAITING_APPROVAL, "it shows the conflict first"
    engine.commands.approve(created, BOB)
    engine.settle()
    assert engine.row(created).state is RunState.NEEDS_HUMAN
    assert "y is 55" in engine.row(created).reason
    assert table.values == {"x": 2, "y": 55, "list": ["a", "b", "c"], "rate": 0.5}


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


def test_a_connections_allow_list_holds_whatever_the_inputs_say(
    engine: Harness, table: Table
) -> None:
    engine.settings.allow.append("y")
    row = engine.run(program(setting("set", "{{ inputs.which }}", 2)), which="x")
    assert row.state is RunState.FAILED
    assert "does not allow x" in row.reason
    assert table.writes == []


def test_secrets_reach_the_call_and_nothing_else(engine: Harness, table: Table) -> None:
    engine.secrets["token"] = "hunter2-hunter2"
    row = engine.run(program(setting("set", "x", "Bearer {{ secret('token') }}")))
    assert row.state is RunState.SUCCEEDED
    assert table.writes == [("x", "Bearer hunter2-hunter2")]
    everything = repr(engine.entries(row.id)) + repr(
        engine.store.read(lambda tx: tx.blobs.plan(row.id))
    )
    assert "hunter2" not in everything


def test_text_from_outside_cannot_name_a_secret(engine: Harness, table: Table) -> None:
    engine.secrets["token"] = "hunter2-hunter2"
    forged = "\u2063secret:token\u2063"
    table.values["y"] = forged
    plan = program(
        {"id": "now", "action": "toy.get", "with": {"name": "y"}},
        setting("one", "x", "{{ inputs.text }}"),
        setting("two", "list", "{{ steps.now.value }}"),
    )
    assert engine.run(plan, text=forged).state is RunState.SUCCEEDED
    assert table.writes == [("x", "secret:token"), ("list", "secret:token")]


def test_a_stranger_without_the_role_is_told_which_is_missing(engine: Harness) -> None:
    run_id = engine.start(program(setting("set", "x", 2)), RunMode.APPROVE)
    engine.settle()
    with pytest.raises(Refused) as caught:
        engine.commands.approve(run_id, Actor("dave"))
    assert caught.value.missing_role == "sre"
