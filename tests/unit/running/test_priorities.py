"""What a run starts or carries has the run's own priority: sub-playbooks, its undo, its recovery."""

from __future__ import annotations

from pathlib import Path

from engine.domain.run import RunMode, RunState
from tests.harness import ALICE, BOB, Harness
from tests.harness_programs import program
from tests.toys import Table

COVERS = ("C1",)

CHILD = program(
    {
        "id": "up",
        "action": "toy.set",
        "with": {"name": "{{ item }}", "value": "{{ run.priority }}"},
        "foreach": {"items": ["x", "y"], "key": "{{ item }}", "tolerate": "1"},
    },
    playbook="toys/child",
)
CALL = {
    "id": "call",
    "kind": "playbook",
    "with": {},
    "program": CHILD.model_dump(mode="json", by_alias=True),
}
PARENT = program(CALL, playbook="toys/parent")


def start(engine: Harness, playbook: str, priority: int) -> str:
    return engine.commands.start(
        playbook, {}, requester=ALICE, mode=RunMode.AUTO, priority=priority
    )


def test_each_of_ten_priorities_reaches_the_steps_of_a_sub_playbook(tmp_path: Path) -> None:
    engine = Harness(tmp_path, Table())
    engine.programs[PARENT.playbook] = PARENT
    for priority in range(10):
        run = start(engine, PARENT.playbook, priority)
        engine.settle()
        assert engine.row(run).state is RunState.SUCCEEDED, engine.row(run).reason
    assert [value for name, value in engine.table.writes if name == "x"] == list(range(10))


def test_the_undo_and_the_recovery_of_a_run_are_as_urgent_as_the_run(tmp_path: Path) -> None:
    engine = Harness(tmp_path, Table())
    engine.table.refuse.add("y")
    engine.programs[CHILD.playbook] = CHILD
    run = start(engine, CHILD.playbook, 9)
    engine.settle()
    undo = engine.commands.undo(run, BOB)["run"]
    recovery = engine.commands.recover(run, BOB)["run"]
    assert {engine.row(one).priority for one in (run, undo, recovery)} == {9}


def test_sub_work_of_an_urgent_run_goes_before_what_was_started_earlier(tmp_path: Path) -> None:
    engine = Harness(tmp_path, Table())
    engine.programs |= {CHILD.playbook: CHILD, PARENT.playbook: PARENT}
    low = [start(engine, CHILD.playbook, 1) for _ in range(3)]
    high = start(engine, PARENT.playbook, 9)
    engine.settle()
    assert engine.table.writes[0] == ("x", 9)
    assert {engine.row(run).state for run in (*low, high)} == {RunState.SUCCEEDED}
