"""Items that another run did already are recognised by their content, left out, and said to be so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.domain.run import RunMode, RunState
from engine.journal.rows import RunRow
from engine.journal.store import Tx
from engine.running.duplicates import content
from tests.harness import ALICE, BOB, Harness
from tests.harness_programs import node, program
from tests.toys import Table

COVERS = ("C8",)

DAY = 86400.0
ONCE = {"items": "{{ inputs.all }}", "key": "{{ item.file }}@{{ item.sum }}", "once": DAY}
UP = {
    "id": "up",
    "action": "toy.set",
    "with": {"name": "{{ item.file }}", "value": "{{ item.to }}"},
}


def plan(name: str = "toys/documents", **foreach: Any) -> Any:
    return program({**UP, "foreach": {**ONCE, **foreach}}, playbook=name)


def document(file: str, sum_: str, to: object = 1) -> dict[str, object]:
    return {"file": file, "sum": sum_, "to": to}


A, B, C = document("a", "1f"), document("b", "2f"), document("c", "3f")


@pytest.fixture
def engine(tmp_path: Path) -> Harness:
    return Harness(tmp_path, Table())


def run(engine: Harness, what: Any, *items: dict[str, object]) -> RunRow:
    engine.table.writes.clear()
    row = engine.run(what, RunMode.AUTO, all=list(items))
    assert row.state is RunState.SUCCEEDED, row.reason
    return row


def done(engine: Harness) -> list[str]:
    return [name for name, _ in engine.table.writes]


def test_what_another_run_did_is_left_out_and_the_rest_is_done(engine: Harness) -> None:
    first = run(engine, plan(), A, B)
    assert done(engine) == ["a", "b"]
    # Other fields of an item may differ: the key alone names its content.
    second = run(engine, plan(), B, C, document("a", "1f", to=99))
    assert done(engine) == ["c"]
    assert second.reason == "all steps done; 2 items were done already by other runs"
    skipped = engine.outcome(second.id, "up[b@2f]")
    assert skipped["state"] == "skipped"
    assert skipped["reason"].startswith(f"done already: by run {first.id} at ")
    whole = engine.outcome(second.id, "up")
    assert whole["message"] == "2 items were done already by other runs"
    assert [one["state"] for one in whole["output"]] == ["skipped", "succeeded", "skipped"]


def test_the_same_file_with_other_content_is_another_item(engine: Harness) -> None:
    run(engine, plan(), A)
    run(engine, plan(), document("a", "ff", to=2))
    assert done(engine) == ["a"]


def test_the_plan_shows_only_what_will_be_done(engine: Harness) -> None:
    run(engine, plan(), A, B)
    engine.table.writes.clear()
    asked = engine.run(plan(), RunMode.APPROVE, all=[A, C])
    assert asked.state is RunState.AWAITING_APPROVAL
    document_: Any = engine.store.read(lambda tx: tx.blobs.plan(asked.id))
    states = {step["address"]: step["state"] for step in document_["steps"]}
    assert (states["up[a@1f]"], states["up[c@3f]"]) == ("skipped", "planned")
    engine.commands.approve(asked.id, BOB)
    engine.settle()
    assert done(engine) == ["c"]


def test_after_the_window_it_is_done_again(engine: Harness) -> None:
    run(engine, plan(), A)
    engine.clock.advance(DAY - 1)
    run(engine, plan(), A)
    assert done(engine) == []
    engine.clock.advance(2)
    run(engine, plan(), document("a", "1f", to=2))
    assert done(engine) == ["a"]


def test_another_playbook_another_step_and_one_that_does_not_ask_know_nothing_of_it(
    engine: Harness,
) -> None:
    run(engine, plan(), A)
    run(engine, plan("toys/other"), document("a", "1f", to=2))
    assert done(engine) == ["a"]
    run(engine, plan(once=None), document("a", "1f", to=3))
    assert done(engine) == ["a"]


def test_what_failed_is_not_done(engine: Harness) -> None:
    engine.table.refuse.add("b")
    run(engine, plan(tolerate="1"), A, B)
    engine.table.refuse.clear()
    run(engine, plan(tolerate="1"), A, B)
    assert done(engine) == ["b"]


def test_what_was_undone_is_not_done_any_more(engine: Harness) -> None:
    first = run(engine, plan(), A, B)
    undo = engine.commands.undo(first.id, ALICE, ["up[b@2f]"])["run"]
    engine.settle()
    engine.commands.approve(undo, BOB)
    engine.settle()
    assert engine.row(undo).state is RunState.SUCCEEDED
    run(engine, plan(), A, B)
    assert done(engine) == ["b"]


def test_an_item_of_several_steps_is_done_once_all_of_them_are(engine: Harness) -> None:
    mark = {**UP, "id": "mark", "with": {"name": "{{ item.file }}-mark", "value": 1}}
    group = {"id": "each", "kind": "group", "steps": [node(UP), node(mark)], "foreach": ONCE}
    whole = program({**group, "foreach": {**ONCE, "tolerate": "1"}}, playbook="toys/group")
    engine.table.refuse.add("a-mark")
    run(engine, whole, A, B)
    engine.table.refuse.clear()
    run(engine, whole, A, B)
    assert done(engine) == ["a-mark"], "its first step is so already, and b is left out whole"


SLOW = {"id": "rest", "kind": "wait", "for_": 60.0}
MARK = {"id": "mark", "action": "toy.set", "with": {"name": "{{ item.file }}", "value": 1}}


def slow(**foreach: Any) -> Any:
    steps = [SLOW, {**node(MARK), "bounds": {"value": {"min": 0, "max": 9}}}]
    each = {**ONCE, "concurrency": 9, **foreach}
    return program({"id": "each", "kind": "group", "steps": steps, "foreach": each})


def test_of_two_runs_at_one_time_one_does_an_item(engine: Harness) -> None:
    first = engine.start(slow(), RunMode.AUTO, all=[A, B])
    engine.settle()
    second = engine.start(slow(), RunMode.AUTO, all=[B, C])
    engine.settle()
    engine.pass_time(60, step=60)
    assert sorted(done(engine)) == ["a", "b", "c"]
    assert engine.row(first).reason == "all steps done"
    assert engine.row(second).reason == "all steps done; 1 items are under way in other runs"
    reason = engine.outcome(second, "each[b@2f]")["reason"]
    assert reason.startswith(f"under way elsewhere: run {first} is at it since ")


def test_what_a_run_took_and_did_not_do_is_free_once_it_has_ended(engine: Harness) -> None:
    first = engine.start(slow(concurrency=1), RunMode.AUTO, all=[A, B])
    engine.settle()
    engine.commands.cancel(first, ALICE, "wrong documents")
    engine.settle()
    assert engine.row(first).state is RunState.CANCELLED
    second = engine.start(slow(), RunMode.AUTO, all=[A, B])
    engine.settle()
    engine.pass_time(60, step=60)
    assert engine.row(second).reason == "all steps done"
    assert sorted(done(engine)) == ["a", "b"]


def test_a_crash_after_the_taking_leaves_the_run_its_own_items(engine: Harness) -> None:
    run_id = engine.start(plan(), RunMode.AUTO, all=[A, B])
    names = [content("toys/documents", "up", key) for key in ("a@1f", "b@2f")]
    since = engine.clock.now()
    # What the process that died had taken, before it could say that the batch is open.
    engine.store.write(lambda tx: tx.done_items.take(names, since, run_id))
    engine.settle()
    assert engine.row(run_id).reason == "all steps done"
    assert done(engine) == ["a", "b"]


def test_more_items_than_are_asked_for_at_a_time(engine: Harness) -> None:
    many = [document(f"f{n}", "0") for n in range(250)]

    def other_run(tx: Tx) -> None:
        for n in range(0, 250, 2):
            name = content("toys/documents", "up", f"f{n}@0")
            tx.done_items.done("run-x", name, f"up[f{n}@0]")

    engine.store.write(other_run)
    row = run(engine, plan(), *many)
    assert done(engine) == [f"f{n}" for n in range(1, 250, 2)]
    assert row.reason == "all steps done; 125 items were done already by other runs"


def test_a_retried_run_asks_anew_what_others_did_meanwhile(engine: Harness) -> None:
    engine.table.refuse.add("b")
    first = engine.run(plan(), RunMode.AUTO, all=[A, B, C])
    assert first.state is RunState.FAILED
    engine.table.refuse.clear()
    run(engine, plan(), document("b", "2f", 2), document("c", "3f", 2))
    assert done(engine) == ["b", "c"]
    engine.table.writes.clear()
    engine.commands.retry(first.id, ALICE)
    engine.settle()
    assert engine.row(first.id).state is RunState.SUCCEEDED, engine.row(first.id).reason
    assert done(engine) == []
