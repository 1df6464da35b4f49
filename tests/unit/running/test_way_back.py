"""The way back: conflicts named before anything is restored, overridden by a reason only, and taken back in turn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.domain.errors import InvalidInput, Refused
from engine.domain.run import RunState
from engine.running.conflicts import conflicts_of, images_of, wanted_changes
from tests.harness import ALICE, BOB, Harness
from tests.harness_programs import program, setting
from tests.toys import Table


@pytest.fixture
def table() -> Table:
    return Table(x=1, y=10)


@pytest.fixture
def engine(tmp_path: Path, table: Table) -> Harness:
    return Harness(tmp_path, table)


def _carried(engine: Harness, run_id: str) -> RunState:
    engine.settle()
    if engine.row(run_id).state is RunState.AWAITING_APPROVAL:
        engine.commands.approve(run_id, BOB)
        engine.settle()
    return engine.row(run_id).state


def test_what_the_runs_own_later_steps_left_is_no_conflict(engine: Harness) -> None:
    row = engine.run(program(setting("one", "x", 2), setting("two", "x", 3)))
    changes = wanted_changes(engine.services, row.id, ())
    images, _ = images_of(engine.services, row.id, changes)
    assert conflicts_of(engine.services, changes, images) == {}


def test_a_conflict_is_found_before_and_shown_in_the_plan_that_people_approve(
    engine: Harness, table: Table
) -> None:
    row = engine.run(program(setting("one", "x", 2), setting("two", "y", 3)))
    table.values["x"] = 77
    changes = wanted_changes(engine.services, row.id, ())
    images, _ = images_of(engine.services, row.id, changes)
    assert conflicts_of(engine.services, changes, images) == {
        "one": ["value was set to 2 and is 77 now"]
    }
    undo = engine.commands.undo(row.id, ALICE)["run"]
    engine.settle()
    plan = engine.store.read(lambda tx: tx.blobs.plan(undo))
    (step,) = plan["steps"]
    assert step["detail"]["conflicts"] == {"one": ["value was set to 2 and is 77 now"]}
    assert _carried(engine, undo) is RunState.NEEDS_HUMAN
    assert (table.values["x"], table.values["y"]) == (77, 10), "the other change is undone"


def test_what_others_change_while_the_gate_is_open_voids_the_approval(
    engine: Harness, table: Table
) -> None:
    row = engine.run(program(setting("one", "x", 2)))
    undo = engine.commands.undo(row.id, ALICE)["run"]
    engine.settle()
    table.values["x"] = 5
    engine.commands.approve(undo, BOB)
    engine.settle()
    assert engine.row(undo).state is RunState.AWAITING_APPROVAL
    states = [gate.state for gate in engine.store.read(lambda tx: tx.gates.of_run(undo))]
    assert sorted(states) == ["open", "void"]
    assert table.values["x"] == 5


def test_an_override_restores_all_the_same_and_is_kept_with_its_reason(
    engine: Harness, table: Table
) -> None:
    row = engine.run(program(setting("one", "x", 2)))
    table.values["x"] = 77
    undo = engine.commands.undo(row.id, ALICE, (), "the autoscaler goes, too")["run"]
    assert _carried(engine, undo) is RunState.SUCCEEDED
    assert table.values["x"] == 1
    (intent,) = [entry for entry in engine.entries(undo) if entry.kind == "undo.intent"]
    assert intent.body["override"] == "the autoscaler goes, too"


def test_the_undo_of_an_undo_makes_the_changes_again_and_can_itself_be_undone(
    engine: Harness, table: Table
) -> None:
    row = engine.run(program(setting("one", "x", 2), setting("two", "y", {"a": "{{ 1 + 1 }}"})))
    undo = engine.commands.undo(row.id, ALICE)["run"]
    assert _carried(engine, undo) is RunState.SUCCEEDED
    assert (table.values["x"], table.values["y"]) == (1, 10)
    redo = engine.commands.undo(undo, ALICE)["run"]
    assert _carried(engine, redo) is RunState.SUCCEEDED
    assert (table.values["x"], table.values["y"]) == (2, {"a": 2})
    back = engine.commands.undo(redo, ALICE)["run"]
    assert _carried(engine, back) is RunState.SUCCEEDED
    assert (table.values["x"], table.values["y"]) == (1, 10)


def test_the_undo_of_an_undo_never_reads_text_as_a_template(engine: Harness, table: Table) -> None:
    row = engine.run(program(setting("one", "x", "{{ inputs.text }}")), text="{{ 7 * 6 }}")
    assert table.values["x"] == "{{ 7 * 6 }}"
    undo = engine.commands.undo(row.id, ALICE)["run"]
    _carried(engine, undo)
    redo = engine.commands.undo(undo, ALICE)["run"]
    assert _carried(engine, redo) is RunState.SUCCEEDED
    assert table.values["x"] == "{{ 7 * 6 }}"


def test_the_undo_of_an_undo_asks_for_secrets_again_and_keeps_none(
    engine: Harness, table: Table
) -> None:
    engine.secrets["pin"] = "s3cr3t-one"
    row = engine.run(program(setting("one", "x", "{{ secret('pin') }}")))
    undo = engine.commands.undo(row.id, ALICE)["run"]
    _carried(engine, undo)
    engine.secrets["pin"] = "s3cr3t-two"
    redo = engine.commands.undo(undo, ALICE)["run"]
    assert _carried(engine, redo) is RunState.SUCCEEDED
    assert table.values["x"] == "s3cr3t-two"
    kept = json.dumps([engine.row(redo).inputs, [one.body for one in engine.entries(redo)]])
    assert "s3cr3t" not in kept


def test_parameters_known_only_after_apply_are_kept_for_the_undo_of_an_undo(
    engine: Harness, table: Table
) -> None:
    plan = program(
        setting("one", "x", 2),
        setting("two", "y", "{{ steps.one.after.value + 5 }}", bounds={"value": {"max": 20}}),
    )
    row = engine.run(plan)
    assert table.values["y"] == 7
    undo = engine.commands.undo(row.id, ALICE)["run"]
    _carried(engine, undo)
    redo = engine.commands.undo(undo, ALICE, ["two"])["run"]
    assert _carried(engine, redo) is RunState.SUCCEEDED
    assert (table.values["x"], table.values["y"]) == (1, 7)


def test_items_of_a_foreach_come_back_in_reverse_and_by_the_steps_own_name(
    engine: Harness, table: Table
) -> None:
    each = {"items": [["x", 4], ["y", 5]], "key": "{{ item[0] }}"}
    plan = program(
        {
            "id": "each",
            "action": "toy.set",
            "with": {"name": "{{ item[0] }}", "value": "{{ item[1] }}"},
            "foreach": each,
        }
    )
    row = engine.run(plan)
    undo = engine.commands.undo(row.id, ALICE, ["each"])["run"]
    assert _carried(engine, undo) is RunState.SUCCEEDED
    assert table.writes[-2:] == [("y", 10), ("x", 1)]


def test_an_undo_that_took_nothing_back_cannot_be_undone(engine: Harness, table: Table) -> None:
    row = engine.run(program(setting("one", "x", 2)))
    undo = engine.commands.undo(row.id, ALICE)["run"]
    engine.settle()
    with pytest.raises(Refused, match="cancel it first"):
        engine.commands.undo(undo, ALICE)
    engine.commands.reject(undo, BOB)
    engine.settle()
    with pytest.raises(Refused, match="nothing to make again"):
        engine.commands.undo(undo, ALICE)
    with pytest.raises(InvalidInput, match="these have: one"):
        engine.commands.undo(row.id, ALICE, ["on"])
    assert table.values["x"] == 2
