"""A crash between the vote and the effect: the next owner acts once, on the approval that the journal holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.domain.run import RunMode, RunState
from engine.running.services import Moment
from engine.running.worker import Worker
from tests.harness import ALICE, BOB, Harness
from tests.harness_programs import program, setting
from tests.toys import Table

PLAN = program(setting("up", "x", 2), setting("more", "y", 2), playbook="toys/crash")


class Died(BaseException):
    """The process is gone: nothing in it runs any more."""


@pytest.mark.parametrize("phase", ["plan", "before", "after"])
@pytest.mark.parametrize("step", ["up", "more"])
def test_a_crash_between_vote_and_effect_acts_once(tmp_path: Path, phase: str, step: str) -> None:
    h = Harness(tmp_path, Table(x=1, y=1))
    run = h.start(PLAN, RunMode.APPROVE)
    h.settle()
    (gate,) = h.store.read(lambda tx: tx.gates.of_run(run))
    h.commands.approve(gate.id, BOB, "", gate.fingerprint)
    approved = False

    def die(moment: Moment) -> None:
        nonlocal approved
        approved = approved or "gate.closed" in h.kinds(run)
        if approved and (moment.phase, moment.address) == (phase, step):
            raise Died

    h.services.on_moment = die
    with pytest.raises(Died):
        h.settle()
    h.services.on_moment = lambda _: None
    h.store.write(lambda tx: tx.workers.leave(h.worker.id))  # its lease ran out
    h.worker = Worker(h.services, threads=2)
    h.settle()
    assert h.row(run).state is RunState.SUCCEEDED
    assert h.table.writes == [("x", 2), ("y", 2)]
    assert [entry.body["state"] for entry in h.entries(run) if entry.kind == "gate.closed"] == [
        "approved"
    ]
    h.store.close()


def test_a_vote_before_the_crash_is_a_vote_after_it(tmp_path: Path) -> None:
    """The worker dies before it has looked at the vote; the gate is judged by the next one."""
    h = Harness(tmp_path, Table(x=1, y=1))
    run = h.start(PLAN, RunMode.APPROVE, ALICE)
    h.settle()
    (gate,) = h.store.read(lambda tx: tx.gates.of_run(run))
    h.store.write(lambda tx: tx.workers.leave(h.worker.id))
    h.commands.approve(gate.id, BOB, "", gate.fingerprint)
    h.table.values["x"] = 5  # the world moves while nobody is there
    h.worker = Worker(h.services, threads=2)
    h.settle()
    assert h.row(run).state is RunState.AWAITING_APPROVAL
    assert h.table.writes == []
    h.store.close()
