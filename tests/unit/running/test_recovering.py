"""Partial recovery: just what failed of a batch becomes a run of its own, item by item as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.domain.errors import InvalidInput, NotFound, Refused
from engine.domain.run import RunMode, RunState
from tests.harness import ALICE, BOB, Harness
from tests.harness_programs import program
from tests.toys import Table

COVERS = ("C5",)

ITEMS = [
    {"id": "a", "to": 1},
    {"id": "b", "to": 2, "note": "{{ secret('x') }}", "deep": [{"n": None}, "1e5"]},
    {"id": "c", "to": 3},
    {"id": "d", "to": 4},
]
SET = {
    "id": "each",
    "action": "toy.set",
    "with": {"name": "{{ item.id }}", "value": "{{ item.to + steps.base.value }}"},
    "foreach": {"items": "{{ inputs.all }}", "key": "{{ item.id }}", "tolerate": "50%"},
}
BASE = {"id": "base", "action": "toy.get", "with": {"name": "base"}}
FIRST = {"id": "first", "action": "toy.set", "with": {"name": "first", "value": 1}}
LAST = {"id": "last", "action": "toy.set", "with": {"name": "last", "value": 1}}
BATCH = program(
    BASE,
    FIRST,
    SET,
    LAST,
    playbook="toys/batch",
    **{"finally": [{"id": "tidy", "action": "toy.set", "with": {"name": "tidy", "value": 1}}]},
)


@pytest.fixture
def engine(tmp_path: Path) -> Harness:
    made = Harness(tmp_path, Table(base=10))
    made.table.refuse |= {"b", "d", "bb"}
    return made


def batch(engine: Harness, plan: Any = BATCH, **more: Any) -> str:
    row = engine.run(plan, RunMode.AUTO, all=ITEMS, **more)
    assert row.state is RunState.SUCCEEDED, row.reason
    engine.table.writes.clear()
    return row.id


def recover(engine: Harness, run: str, step: str | None = None) -> str:
    made = engine.commands.recover(run, ALICE, step)
    assert made["recovers"] == run
    engine.settle()
    recovery = str(made["run"])
    row = engine.row(recovery)
    assert row.state is RunState.AWAITING_APPROVAL, "gated like any other"
    engine.commands.approve(recovery, BOB)
    engine.settle()
    return recovery


def test_only_what_failed_is_done_again_and_nothing_else_of_the_run(engine: Harness) -> None:
    run = batch(engine)
    engine.table.refuse.clear()
    engine.table.values["base"] = 20
    recovery = recover(engine, run)
    assert engine.row(recovery).state is RunState.SUCCEEDED
    # Neither what went before nor what comes after it; reads read the world as it is now.
    assert engine.table.writes == [("b", 22), ("d", 24)]


def test_items_are_carried_over_as_they_were_and_no_text_of_theirs_is_a_template(
    engine: Harness,
) -> None:
    run = batch(engine)
    made = engine.commands.recover(run, ALICE)
    assert (made["step"], made["items"]) == ("each", 2)
    row = engine.row(made["run"])
    assert row.inputs["recovered_items"] == [ITEMS[1], ITEMS[3]]
    assert row.inputs["all"] == ITEMS
    engine.settle()
    engine.commands.approve(row.id, BOB)
    engine.table.refuse.clear()
    engine.settle()
    assert engine.row(row.id).state is RunState.SUCCEEDED, engine.row(row.id).reason


def test_the_two_runs_name_each_other(engine: Harness) -> None:
    run = batch(engine)
    made = engine.commands.recover(run, ALICE)
    row = engine.row(made["run"])
    assert (row.trigger["kind"], row.trigger["run"], row.trigger["step"]) == (
        "recovery",
        run,
        "each",
    )
    assert row.priority == engine.row(run).priority
    last = engine.entries(run)[-1]
    assert (last.kind, last.body["signal"], last.body["run"]) == ("run.signal", "recover", row.id)
    assert (last.body["keys"], last.body["actor"]) == (["b", "d"], "alice")


def test_what_fails_again_can_be_recovered_again_and_what_succeeded_cannot(engine: Harness) -> None:
    run = batch(engine)
    engine.table.refuse = {"d"}
    first = recover(engine, run)
    assert engine.table.writes == [("b", 12)]
    engine.table.refuse = set()
    engine.table.writes.clear()
    recover(engine, run)
    assert engine.table.writes == [("d", 14)]
    with pytest.raises(Refused, match="failed that was not recovered since"):
        engine.commands.recover(run, ALICE)
    with pytest.raises(Refused, match=f"nothing of run {run} failed"):
        engine.commands.recover(first, ALICE)  # d failed in it, and was done since by another


def test_the_recovery_of_a_recovery_is_one_of_the_batch(engine: Harness) -> None:
    run = batch(engine)
    engine.table.refuse = {"d"}
    first = recover(engine, run)
    engine.table.refuse = set()
    made = engine.commands.recover(first, ALICE)
    assert (made["recovers"], made["items"]) == (run, 1)


def test_items_without_a_key_are_told_apart_by_what_they_were(engine: Harness) -> None:
    unnamed = {**SET, "foreach": {"items": "{{ inputs.all }}", "tolerate": "50%"}}
    run = batch(engine, program(BASE, unnamed, playbook="toys/unnamed"))
    engine.table.refuse = {"b"}
    recover(engine, run)
    assert engine.table.writes == [("d", 14)]
    made = engine.commands.recover(run, ALICE)
    assert engine.row(made["run"]).inputs["recovered_items"] == [ITEMS[1]]


def test_two_recoveries_at_one_time_would_do_a_thing_twice(engine: Harness) -> None:
    run = batch(engine)
    made = engine.commands.recover(run, ALICE)
    with pytest.raises(Refused, match=f"run {made['run']} recovers run {run} just now"):
        engine.commands.recover(run, BOB)


def test_a_batch_is_recovered_only_once_it_has_ended_and_where_something_failed(
    engine: Harness,
) -> None:
    waits = program({"id": "rest", "kind": "wait", "for_": 60.0}, playbook="toys/waits")
    under_way = engine.start(waits, RunMode.AUTO)
    engine.settle()
    with pytest.raises(Refused, match="must end before"):
        engine.commands.recover(under_way, ALICE)
    run = batch(engine)
    with pytest.raises(NotFound, match="no foreach 'eahc'; it has: each"):
        engine.commands.recover(run, ALICE, "eahc")
    engine.table.refuse.clear()
    whole = engine.run(BATCH, RunMode.AUTO, all=ITEMS).id
    with pytest.raises(Refused, match="nothing of run"):
        engine.commands.recover(whole, ALICE)


def test_of_several_batches_one_is_named(engine: Harness) -> None:
    twice = {"name": "{{ item.id }}{{ item.id }}", "value": 1}
    other = {**SET, "id": "other", "with": twice}
    run = batch(engine, program(BASE, SET, other, playbook="toys/two"))
    with pytest.raises(InvalidInput, match="each, other"):
        engine.commands.recover(run, ALICE)
    assert engine.commands.recover(run, ALICE, "other")["step"] == "other"


def test_items_that_need_what_a_change_gave_are_not_recovered_on_their_own(engine: Harness) -> None:
    needs = {**SET, "with": {"name": "{{ item.id }}", "value": "{{ steps.first.after.value }}"}}
    needs["bounds"] = {"value": {"min": 0, "max": 9}}
    run = batch(engine, program(FIRST, needs, playbook="toys/needs"))
    with pytest.raises(Refused, match="need what step 'first' gave"):
        engine.commands.recover(run, ALICE)


def test_a_failed_batch_of_several_steps_an_item_is_recovered_whole(engine: Harness) -> None:
    steps = [
        {"kind": "action", "id": "look", "action": "toy.get", "with": {"name": "base"}},
        {
            "kind": "action",
            "id": "up",
            "action": "toy.set",
            "with": {"name": "{{ item.id }}", "value": "{{ steps.look.value }}"},
            "bounds": {"value": {"min": 0, "max": 99}},
        },
    ]
    group = {"id": "each", "kind": "group", "steps": steps, "foreach": SET["foreach"]}
    strict = {**group, "foreach": {"items": "{{ inputs.all }}", "key": "{{ item.id }}"}}
    row = engine.run(program(strict, playbook="toys/strict"), RunMode.AUTO, all=ITEMS)
    assert row.state is RunState.FAILED
    engine.table.writes.clear()
    engine.table.refuse.clear()
    recover(engine, row.id)
    assert [name for name, _ in engine.table.writes] == ["b"], "what never began did not fail"
    with pytest.raises(Refused, match="both would do it"):
        engine.commands.retry(row.id, ALICE)


def test_an_item_that_was_half_done_is_taken_back_before_it_is_recovered(engine: Harness) -> None:
    mark = {"name": "{{ item.id }}-mark", "value": 1}
    steps = [
        {"kind": "action", "id": "mark", "action": "toy.set", "with": mark},
        {"kind": "action", "id": "up", "action": "toy.set", "with": SET["with"]},
    ]
    group = {"id": "each", "kind": "group", "steps": steps, "foreach": SET["foreach"]}
    run = batch(engine, program(BASE, group, playbook="toys/halves"))
    engine.table.refuse.clear()
    with pytest.raises(Refused, match=r"'b' had made the change each\[b\]\.mark before it failed"):
        engine.commands.recover(run, ALICE)
    for item in ("each[b]", "each[d]"):
        undo = engine.commands.undo(run, ALICE, [item])["run"]
        engine.settle()
        engine.commands.approve(undo, BOB)
        engine.settle()
    engine.table.writes.clear()
    recover(engine, run)
    assert [name for name, _ in engine.table.writes] == ["b-mark", "b", "d-mark", "d"]
