"""Runs that fail: rescue, finally, undo, retry, escalation; and the undo of a run that has ended."""

from __future__ import annotations

import pytest

from engine.domain.errors import ActionFailed, Category, InvalidInput, Refused
from engine.domain.run import RunState
from tests.harness import ALICE, BOB, Harness
from tests.harness_programs import program, setting
from tests.toys import Table

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


# ---------------------------------------------------------------- undo of an ended run


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
