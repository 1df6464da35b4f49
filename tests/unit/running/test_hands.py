"""One run in a person's hands: held, stepped, taken over and handed back, made to give way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput, Refused
from engine.domain.plan import Target
from engine.domain.run import RunMode, RunState
from engine.running.services import Moment
from tests.harness import ALICE, BOB, Harness
from tests.harness_programs import program, setting
from tests.toys import Table

THREE = program(setting("one", "x", 2), setting("two", "y", 2), setting("three", "z", 2))
WAITS = program(
    setting("first", "x", 2), {"id": "rest", "kind": "wait", "for_": 600.0}, setting("then", "y", 2)
)


@pytest.fixture
def h(tmp_path: Path) -> Iterator[Harness]:
    made = Harness(tmp_path, Table(x=1, y=1, z=1))
    yield made
    made.store.close()


def before_effect(h: Harness, number: int, act: Callable[[], object]) -> None:
    """Let a person act just before the `number`th effect."""
    seen = 0

    def hook(moment: Moment) -> None:
        nonlocal seen
        seen += moment.phase == "before"
        if moment.phase == "before" and seen == number:
            act()

    h.services.on_moment = hook


# ---------------------------------------------------------------- held


def test_a_held_run_does_nothing_until_it_is_released(h: Harness) -> None:
    run = h.start(THREE)
    h.commands.hold(run, ALICE, "let me look")
    h.settle()
    assert h.row(run).state is RunState.HELD
    assert h.table.writes == []
    h.commands.release(run, BOB, "fine")
    h.settle()
    assert h.row(run).state is RunState.SUCCEEDED


def test_a_hold_takes_before_the_next_effect(h: Harness) -> None:
    run = h.start(THREE)
    before_effect(h, 1, lambda: h.commands.hold(run, ALICE, "stop"))
    h.settle()
    assert h.row(run).state is RunState.HELD
    assert [name for name, _ in h.table.writes] == ["x"]


def test_a_word_that_comes_with_the_intent_comes_first(h: Harness) -> None:
    """The hold is committed after the run has last looked and before its intent is: no intent then."""
    run = h.start(THREE)
    done = False

    def late(_: object, __: object) -> None:
        nonlocal done
        if not done:
            done = True
            h.commands.hold(run, ALICE, "just now")

    read = h.table.read

    def reading(name: str) -> object:
        if name == "y" and h.table.writes:  # planned again, just before its intent
            late(None, None)
        return read(name)

    h.table.read = reading  # type: ignore[method-assign]
    h.settle()
    assert h.row(run).state is RunState.HELD
    assert [name for name, _ in h.table.writes] == ["x"]
    intents = [e.body["address"] for e in h.entries(run) if e.kind == "step.intent"]
    assert intents == ["one"]


def test_a_persons_hold_is_no_pause_whatever_its_words(h: Harness) -> None:
    run = h.start(THREE)
    h.commands.hold(run, ALICE, "paused by mistake; would exceed the budget")
    h.settle()
    h.settle()
    assert h.row(run).state is RunState.HELD
    h.commands.pause(ALICE, "storm")
    h.commands.resume(ALICE)
    h.settle()
    assert h.row(run).state is RunState.HELD


def test_a_waiting_run_is_held_when_its_wait_is_over(h: Harness) -> None:
    run = h.run(WAITS).id
    assert h.row(run).state is RunState.WAITING
    h.commands.hold(run, ALICE, "not now")
    h.pass_time(1200, step=300)
    assert h.row(run).state is RunState.HELD
    assert h.table.values["y"] == 1


@pytest.mark.parametrize("act", ["hold", "takeover", "handback"])
def test_what_people_do_needs_a_reason(h: Harness, act: str) -> None:
    run = h.start(THREE)
    with pytest.raises(InvalidInput, match="say w"):
        getattr(h.commands, act)(run, ALICE, " ")


def test_an_ended_run_is_in_nobodys_hands(h: Harness) -> None:
    run = h.run(THREE).id
    for act in ("hold", "takeover"):
        with pytest.raises(Refused, match="has ended: succeeded"):
            getattr(h.commands, act)(run, ALICE, "why")
    with pytest.raises(Refused, match="has ended"):
        h.commands.step(run, ALICE)


def test_releasing_says_what_it_cannot_release(h: Harness) -> None:
    run = h.start(THREE)
    with pytest.raises(Refused, match="nothing holds run"):
        h.commands.release(run, ALICE)
    h.commands.pause(ALICE, "storm")
    h.settle()
    with pytest.raises(Refused, match="stanch resume releases all"):
        h.commands.release(run, ALICE)


# ---------------------------------------------------------------- stepped


def test_a_step_is_exactly_one_step(h: Harness) -> None:
    run = h.start(THREE)
    h.commands.hold(run, ALICE, "slowly")
    h.settle()
    for count in (1, 2):
        h.commands.step(run, ALICE)
        h.settle()
        assert len(h.table.writes) == count
        assert h.row(run).state is RunState.HELD
    assert "stepped by alice: two succeeded" in h.row(run).reason
    h.commands.step(run, ALICE)
    h.settle()
    assert len(h.table.writes) == 3
    h.commands.release(run, ALICE)
    h.settle()
    assert h.row(run).state is RunState.SUCCEEDED


def test_side_by_side_is_stepped_one_by_one(h: Harness) -> None:
    inner = [{"kind": "action", **setting(name, name, 2)} for name in ("x", "y", "z")]
    run = h.start(program({"id": "all", "kind": "parallel", "steps": inner}))
    h.commands.hold(run, ALICE, "slowly")
    h.settle()
    h.commands.step(run, ALICE)
    h.settle()
    assert len(h.table.writes) == 1
    assert h.row(run).state is RunState.HELD


# ---------------------------------------------------------------- taken over


def test_a_run_that_is_taken_over_is_planned_anew_on_hand_back(h: Harness) -> None:
    run = h.start(THREE, RunMode.APPROVE)
    h.settle()
    (gate,) = h.store.read(lambda tx: tx.gates.of_run(run))
    h.commands.approve(gate.id, BOB)
    before_effect(h, 1, lambda: h.commands.takeover(run, BOB, "by hand is quicker"))
    h.settle()
    assert h.row(run).state is RunState.HELD
    assert h.store.read(lambda tx: set(tx.locks.held().values())) == {run}
    for act in ("hold", "release"):
        with pytest.raises(Refused, match="bob has taken run"):
            getattr(h.commands, act)(run, ALICE, "mine")
    with pytest.raises(Refused, match="bob has taken run"):
        h.commands.retry(run, ALICE)
    h.table.values["y"] = 7
    h.commands.handback(run, BOB, "y is 7 now")
    h.settle()
    assert h.row(run).state is RunState.AWAITING_APPROVAL
    again = h.store.read(lambda tx: tx.gates.of_run(run))[-1]
    assert again.body["drift"] == [
        {
            "address": "two",
            "field": "value (before)",
            "live": 7,
            "planned": 1,
            "connection": "toy",
        }
    ]
    assert "handed back: y is 7 now" in again.body["reason"]
    h.commands.approve(again.id, BOB)
    h.settle()
    assert h.row(run).state is RunState.SUCCEEDED
    assert h.table.values == {"x": 2, "y": 2, "z": 2}


def test_where_nothing_differs_the_approval_stands(h: Harness) -> None:
    run = h.start(THREE, RunMode.APPROVE)
    h.settle()
    (gate,) = h.store.read(lambda tx: tx.gates.of_run(run))
    h.commands.approve(gate.id, BOB)
    before_effect(h, 1, lambda: h.commands.takeover(run, BOB, "a look"))
    h.settle()
    h.commands.handback(run, BOB, "did nothing")
    h.settle()
    assert h.row(run).state is RunState.SUCCEEDED
    assert "run.replanned" in h.kinds(run)


def test_a_gate_of_a_run_that_is_taken_over_is_dead_and_asks_again(h: Harness) -> None:
    run = h.start(THREE, RunMode.APPROVE)
    h.settle()
    (gate,) = h.store.read(lambda tx: tx.gates.of_run(run))
    h.commands.takeover(run, BOB, "by hand")
    h.settle()
    with pytest.raises(Refused, match=r"closed: void .*bob has taken the run over"):
        h.commands.approve(gate.id, BOB)
    h.commands.handback(run, BOB, "done with it")
    h.settle()
    assert h.row(run).state is RunState.AWAITING_APPROVAL
    assert h.table.writes == []


def test_an_automatic_run_goes_on_with_the_plan_of_the_world_as_it_is(h: Harness) -> None:
    run = h.start(THREE)
    before_effect(h, 1, lambda: h.commands.takeover(run, ALICE, "by hand"))
    h.settle()
    h.table.values["y"] = 7
    h.commands.handback(run, ALICE, "y is 7")
    h.settle()
    assert h.row(run).state is RunState.SUCCEEDED
    assert [e.body["live"] for e in h.entries(run) if e.kind == "drift.found"] == [7]
    with pytest.raises(Refused, match="has ended"):
        h.commands.handback(run, ALICE, "again")


def test_a_gate_step_asks_again_after_hand_back(h: Harness) -> None:
    plan = program({"id": "ask", "kind": "gate", "role": "sre"}, setting("one", "x", 2))
    run = h.start(plan)
    h.settle()
    h.commands.takeover(run, ALICE, "by hand")
    h.settle()
    h.commands.handback(run, ALICE, "nothing done")
    h.settle()
    gates = h.store.read(lambda tx: tx.gates.of_run(run))
    assert [gate.state for gate in gates] == ["void", "open"]
    h.commands.approve(gates[-1].id, BOB)
    h.settle()
    assert h.row(run).state is RunState.SUCCEEDED


# ---------------------------------------------------------------- pre-empted


def holder_and_urgent(h: Harness) -> tuple[str, str]:
    """A run that waits with its locks, and a P0 that meets them."""
    holder = h.run(WAITS).id
    h.programs["toys/urgent"] = program(setting("now", "x", 9), playbook="toys/urgent")
    urgent = h.commands.start("toys/urgent", {}, requester=ALICE, mode=RunMode.AUTO, priority=9)
    h.settle()
    return holder, urgent


def test_a_p0_that_meets_a_lock_pages_a_person(h: Harness) -> None:
    holder, urgent = holder_and_urgent(h)
    (page,) = h.store.read(lambda tx: tx.pages.list())
    assert (page.level, page.run_id) == ("emergency", urgent)
    assert f"locked by {holder}" in page.reason
    assert f"stanch preempt {urgent}" in page.reason


def test_the_holder_is_held_and_hands_its_locks_over(h: Harness) -> None:
    holder, urgent = holder_and_urgent(h)
    answer = h.commands.preempt(urgent, BOB, "P0")
    assert answer["holders"] == [holder]
    h.settle()
    assert h.row(urgent).state is RunState.SUCCEEDED
    assert h.table.values["x"] == 9
    assert h.row(holder).state is RunState.HELD
    assert f"gave way to {urgent}: P0" in h.row(holder).reason
    assert h.store.read(lambda tx: tx.pages.list()) == []
    h.commands.release(holder, BOB)
    h.pass_time(700, step=350)
    assert h.row(holder).state is RunState.SUCCEEDED


def test_the_holder_is_undone_first_where_that_is_wanted(h: Harness) -> None:
    holder, urgent = holder_and_urgent(h)
    h.commands.preempt(holder, BOB, "P0", "undo")
    h.settle()
    assert h.row(holder).state is RunState.UNDONE
    assert h.table.writes == [("x", 2), ("x", 1), ("x", 9)]
    assert h.row(urgent).state is RunState.SUCCEEDED


def test_nothing_gives_way_to_nothing(h: Harness) -> None:
    run = h.run(WAITS).id
    with pytest.raises(Refused, match="waits for no lock"):
        h.commands.preempt(run, BOB, "why")
    with pytest.raises(InvalidInput, match="no way to give way"):
        h.commands.preempt(run, BOB, "why", "kill")
    with pytest.raises(InvalidInput, match="say why"):
        h.commands.preempt(run, BOB, "")


def test_a_holder_in_doubt_is_asked_about_before_it_lets_go(h: Harness) -> None:
    """Its worker died in the middle of an effect: nobody gets its locks before that is known."""
    holder = h.start(WAITS)
    h.settle()
    body = {"address": "then", "key": "k", "attempt": 1, "action": "toy.set", "effect": "change"}
    planned = next(e for e in h.entries(holder) if e.kind == "step.intent").body["planned"]
    planned = {**planned, "target": Target("toy", "y").as_json()}
    h.store.write(
        lambda tx: tx.journal.append(holder, [Entry("step.intent", {**body, "planned": planned})])
    )
    h.table.slow_until = 1
    h.programs["toys/urgent"] = program(setting("now", "x", 9), playbook="toys/urgent")
    urgent = h.commands.start("toys/urgent", {}, requester=ALICE, mode=RunMode.AUTO, priority=9)
    h.settle()
    h.commands.preempt(urgent, BOB, "P0")
    h.settle()
    assert h.row(urgent).state is RunState.WAITING
    h.pass_time(10, step=5)
    assert h.row(urgent).state is RunState.SUCCEEDED
