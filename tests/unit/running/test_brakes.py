"""Kill switch, breakers, cooldowns, places, budgets, windows, fresh changes; and pages until they are seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from engine.domain.errors import InvalidInput, NotFound
from engine.domain.plan import FreshChange
from engine.domain.run import RunMode, RunState
from engine.incidents.lifecycle import acknowledge_page
from engine.incidents.paging import Paging
from engine.journal.rows import PageRow
from engine.language.rules import Schedule
from engine.planning.brakes import BrakeRules, Breaker, Fresh, Limit, Window
from engine.running.requests import RunRequest
from engine.running.services import Moment
from tests.harness import ALICE, BOB, Harness
from tests.harness_programs import program, setting
from tests.toys import Table

UP = program(setting("up", "x", "{{ inputs.to }}"), playbook="toys/up")
FAIL = program(setting("up", "stuck", 2), playbook="toys/fail")


@pytest.fixture
def h(tmp_path: Path) -> Iterator[Harness]:
    made = Harness(tmp_path, Table(x=1, y=1, z=1, stuck=1))
    made.table.refuse.add("stuck")
    yield made
    made.store.close()


def rules(h: Harness, **given: object) -> None:
    h.services.brakes = BrakeRules(**given)  # type: ignore[arg-type]


def brake(h: Harness, name: str) -> bool:
    row = h.store.read(lambda tx: tx.brakes.get(name))
    return row is not None and row.engaged


# ---------------------------------------------------------------- kill switch


def test_the_kill_switch_holds_undo_too_unless_a_person_excepts_it(h: Harness) -> None:
    plan = program(
        setting("one", "x", 2),
        setting("two", "y", 2),
        {**setting("three", "stuck", 2), "on_failure": "undo"},
    )
    run = h.start(plan)

    def stop(moment: Moment) -> None:
        if moment.phase == "before" and len(h.table.writes) == 2:
            h.services.on_moment = lambda _: None
            h.commands.pause(ALICE, "storm")

    h.services.on_moment = stop
    h.settle()
    assert h.row(run).state is RunState.HELD
    assert h.table.values["x"] == h.table.values["y"] == 2
    h.commands.pause(ALICE, "storm", let_undo=True)
    h.store.write(lambda tx: tx.runs.wake(run))
    h.settle()
    assert h.row(run).state is RunState.HELD  # what holds it is the pause; it goes on with resume
    h.commands.resume(ALICE)
    h.settle()
    assert h.row(run).state is RunState.UNDONE
    assert h.table.values["x"] == h.table.values["y"] == 1


def test_undoing_goes_on_under_a_pause_that_excepts_it(h: Harness) -> None:
    run = h.run(UP, to=2).id
    h.commands.pause(ALICE, "storm", let_undo=True)
    undo = h.commands.undo(run, ALICE)["run"]
    h.settle()
    (gate,) = h.store.read(lambda tx: tx.gates.of_run(undo))
    h.commands.approve(gate.id, BOB)
    h.settle()
    assert h.row(undo).state is RunState.SUCCEEDED
    assert h.table.values["x"] == 1


def test_a_pause_reaches_waiting_and_approved_runs_of_every_node(
    h: Harness, tmp_path: Path
) -> None:
    waits = program(
        {"id": "rest", "kind": "wait", "for_": 60.0}, setting("up", "y", 2), playbook="toys/waits"
    )
    waiting = h.run(waits).id
    gated = h.run(UP, RunMode.APPROVE, to=2).id
    other = Harness(tmp_path, h.table, clock=h.clock)
    other.commands.pause(BOB, "storm")
    (gate,) = h.store.read(lambda tx: tx.gates.of_run(gated))
    h.commands.approve(gate.id, BOB)
    h.pass_time(120, step=60)
    other.settle()
    assert h.table.writes == []
    assert {h.row(run).state for run in (waiting, gated)} == {RunState.HELD}
    other.commands.resume(BOB)
    h.settle()
    assert {h.row(run).state for run in (waiting, gated)} == {RunState.SUCCEEDED}
    other.store.close()


# ---------------------------------------------------------------- circuit breaker


def test_failures_open_the_breaker_and_a_person_re_arms_it(h: Harness) -> None:
    rules(h, breaker=Breaker(2, 3600.0))
    for _ in range(2):
        assert not brake(h, "breaker:toys/fail")
        assert h.run(FAIL).state is RunState.FAILED
    assert brake(h, "breaker:toys/fail")
    told = h.store.read(lambda tx: tx.journal.read("node:local"))
    assert told[-1].kind == "brake.set"
    assert "2 failed runs within 3600 s" in told[-1].body["reason"]
    (page,) = h.store.read(lambda tx: tx.pages.list())
    assert "stanch rearm breaker:toys/fail" in page.reason
    third = h.run(FAIL)
    assert third.state is RunState.AWAITING_APPROVAL
    assert "circuit breaker of toys/fail is open" in third.reason
    h.commands.rearm(ALICE, "breaker:toys/fail", "the exporter is mended")
    assert not brake(h, "breaker:toys/fail")
    assert h.run(FAIL).state is RunState.FAILED  # counted from nothing again
    assert not brake(h, "breaker:toys/fail")


def test_a_playbook_has_a_breaker_of_its_own_and_old_failures_count_no_more(h: Harness) -> None:
    plan = program(
        setting("up", "stuck", 2), playbook="toys/own", breaker={"failures": 2, "within": 60.0}
    )
    h.run(plan)
    h.clock.advance(61)
    h.run(plan)
    assert not brake(h, "breaker:toys/own")
    h.run(plan)
    assert brake(h, "breaker:toys/own")


def test_a_run_that_a_person_approved_past_the_breaker_is_asked_again_on_drift(h: Harness) -> None:
    rules(h, breaker=Breaker(1, 3600.0))
    h.run(FAIL)
    h.table.refuse.clear()
    run = h.run(FAIL).id
    (gate,) = h.store.read(lambda tx: tx.gates.of_run(run))
    h.commands.approve(gate.id, BOB)
    h.settle()
    assert h.row(run).state is RunState.SUCCEEDED


@pytest.mark.parametrize("name", ["kill", "breakers:x", "breaker:", "x"])
def test_only_what_there_is_is_re_armed(h: Harness, name: str) -> None:
    with pytest.raises(InvalidInput):
        h.commands.rearm(ALICE, name, "why")


def test_re_arming_needs_a_reason_and_an_engaged_brake(h: Harness) -> None:
    with pytest.raises(InvalidInput, match="say why"):
        h.commands.rearm(ALICE, "breaker:x", " ")
    with pytest.raises(NotFound, match="not engaged"):
        h.commands.rearm(ALICE, "breaker:x", "why")


# ---------------------------------------------------------------- cooldown


def test_a_run_s_end_starts_the_cooldown(h: Harness) -> None:
    rules(h, cooldown=300.0)
    h.run(UP, to=2)
    row = h.store.read(lambda tx: tx.brakes.get("cooldown:toys/up"))
    assert row is not None
    assert row.body["until"] > "2"
    h.commands.rearm(ALICE, "cooldown:toys/up", "needed now")
    assert not brake(h, "cooldown:toys/up")


def test_a_rules_cooldown_is_frozen_in_its_runs(h: Harness) -> None:
    h.programs[UP.playbook] = UP
    request = RunRequest(
        playbook=UP.playbook, inputs={"to": 2}, rule="r", mode=RunMode.AUTO, cooldown=60.0
    )
    h.store.write(lambda tx: h.commands.create_run(tx, request))
    h.settle()
    assert brake(h, "cooldown:rule:r")
    assert not brake(h, "cooldown:toys/up")
    row = h.store.read(lambda tx: tx.brakes.get("cooldown:rule:r"))
    assert row is not None
    assert row.in_force(h.clock.now())
    h.clock.advance(61)
    assert not row.in_force(h.clock.now())


# ---------------------------------------------------------------- places


def test_so_many_runs_of_a_playbook_and_no_more(h: Harness) -> None:
    plan = program(
        {"id": "rest", "kind": "wait", "for_": 60.0}, playbook="toys/slow", concurrency=2
    )
    runs = [h.start(plan) for _ in range(4)]
    h.settle()
    states = [h.row(run).state for run in runs]
    assert states == [RunState.WAITING, RunState.WAITING, RunState.QUEUED, RunState.QUEUED]
    waiting = next(e for e in h.entries(runs[2]) if e.kind == "lock.waiting")
    assert "2 run(s) of toys/slow at a time" in waiting.body["reason"]
    h.pass_time(200, step=30)
    assert {h.row(run).state for run in runs} == {RunState.SUCCEEDED}
    assert h.store.read(lambda tx: tx.locks.held()) == {}


# ---------------------------------------------------------------- budgets


def costly(step: str, name: str, value: int, pods: int) -> dict[str, object]:
    made = setting(step, name, value)
    made["with"]["pods"] = pods
    return made


def test_budgets_of_a_connection_and_of_a_playbook_hold(h: Harness) -> None:
    rules(
        h,
        connections={"toy": {"pods": Limit(5, 3600.0)}},
        playbooks={"toys/*": {"pods": Limit(4, 60.0)}},
    )
    first = program(costly("up", "x", 2, 3), playbook="toys/a")
    second = program(costly("up", "y", 2, 2), playbook="toys/b")
    assert h.run(first).state is RunState.SUCCEEDED
    run = h.run(second)
    assert run.state is RunState.AWAITING_APPROVAL
    assert "would exceed the budget playbook:toys/* by 1" in run.reason
    h.clock.advance(61)
    third = h.run(program(costly("up", "z", 2, 3), playbook="toys/c"))
    assert "would exceed the budget connection:toy by 1" in third.reason
    used = h.store.read(lambda tx: tx.budgets.used("connection:toy", "pods", window=3600.0))
    assert used == 3
    h.commands.rearm(ALICE, "budget:connection:toy:pods", "the incident is over")
    assert h.run(program(costly("up", "x", 3, 3), playbook="toys/d")).state is RunState.SUCCEEDED


def test_undo_is_counted_and_never_blocked(h: Harness) -> None:
    h.limit("pods", 3)
    run = h.run(program(costly("up", "x", 2, 3), playbook="toys/a")).id
    undo = h.commands.undo(run, ALICE)["run"]
    h.settle()
    (gate,) = h.store.read(lambda tx: tx.gates.of_run(undo))
    h.commands.approve(gate.id, BOB)
    h.settle()
    assert h.row(undo).state is RunState.SUCCEEDED
    assert h.store.read(lambda tx: tx.budgets.used("global", "pods", window=None)) == 6


def test_what_a_person_lets_past_a_budget_is_counted(h: Harness) -> None:
    h.limit("pods", 2)
    run = h.run(program(costly("up", "x", 2, 3), playbook="toys/a")).id
    (gate,) = h.store.read(lambda tx: tx.gates.of_run(run))
    h.commands.approve(gate.id, BOB)
    h.settle()
    assert h.row(run).state is RunState.SUCCEEDED
    assert h.store.read(lambda tx: tx.budgets.used("global", "pods", window=None)) == 3


# ---------------------------------------------------------------- windows


def test_a_window_holds_and_lets_go_by_itself(h: Harness) -> None:
    now = h.clock.now()
    once = Window("db", "hold", since=now, until=now + timedelta(minutes=10), reason="upgrade")
    rules(h, windows=(once,))
    run = h.run(UP, to=2)
    assert run.state is RunState.HELD
    assert "maintenance window db until" in run.reason
    assert "upgrade" in run.reason
    h.pass_time(620, step=310)
    assert h.row(run.id).state is RunState.SUCCEEDED


def test_a_window_that_asks_puts_a_gate_before_what_goes_by_itself(h: Harness) -> None:
    now = h.clock.now()
    once = Window("freeze", "approve", since=now, until=now + timedelta(minutes=10))
    rules(h, windows=(once,))
    run = h.run(UP, to=2)
    assert run.state is RunState.AWAITING_APPROVAL
    (gate,) = h.store.read(lambda tx: tx.gates.of_run(run.id))
    h.commands.approve(gate.id, BOB)
    h.settle()
    assert h.row(run.id).state is RunState.SUCCEEDED


def test_a_window_that_opens_under_way_asks_before_the_next_change(h: Harness) -> None:
    now = h.clock.now()
    later = Window(
        "freeze", "approve", since=now + timedelta(seconds=30), until=now + timedelta(hours=1)
    )
    rules(h, windows=(later,))
    plan = program(
        setting("one", "x", 2), {"id": "rest", "kind": "wait", "for_": 60.0}, setting("two", "y", 2)
    )
    run = h.run(plan).id
    h.pass_time(70, step=35)
    assert h.row(run).state is RunState.AWAITING_APPROVAL
    assert h.table.values["y"] == 1


def test_windows_are_about_playbooks_and_connections(h: Harness) -> None:
    now = h.clock.now()
    hour = Window("a", "hold", since=now, until=now + timedelta(hours=1))
    others = (replace(hour, playbooks=("etl/*",)), replace(hour, connections=("cluster",)))
    rules(h, windows=others)
    assert h.run(UP, to=2).state is RunState.SUCCEEDED
    rules(h, windows=(replace(hour, connections=("toy",)),))
    assert h.run(UP, to=3).state is RunState.HELD


def test_a_window_that_comes_again_is_open_for_its_time() -> None:
    from engine.domain.clock import parse_time

    schedule = Schedule(fields={"minute": "0", "hour": "2", "day_of_week": "sun"})
    window = Window("db", "hold", schedule=schedule, lasts=7200.0)
    for text, until in (
        ("2026-03-01T01:59:59Z", None),
        ("2026-03-01T02:00:00Z", "2026-03-01T04:00:00Z"),
        ("2026-03-01T03:59:59Z", "2026-03-01T04:00:00Z"),
        ("2026-03-01T04:00:00Z", None),
        ("2026-03-02T03:00:00Z", None),
    ):
        assert window.ends(parse_time(text)) == (parse_time(until) if until else None), text
    assert window.opens(parse_time("2026-03-01T03:00:00Z")) == parse_time("2026-03-08T02:00:00Z")


# ---------------------------------------------------------------- fresh changes


def fresh(h: Harness, by: str, ago: float) -> None:
    at = h.clock.now() - timedelta(seconds=ago)
    h.table.fresh["x"] = (FreshChange(by, at, "spec.replicas"),)


def test_a_fresh_change_by_somebody_else_holds_an_automatic_run(h: Harness) -> None:
    rules(h, fresh=Fresh(600.0, frozenset({"autoscaler"})))
    fresh(h, "kubectl-edit", 60)
    run = h.run(UP, to=2)
    assert run.state is RunState.HELD
    assert "kubectl-edit at" in run.reason
    assert "(spec.replicas)" in run.reason
    (page,) = h.store.read(lambda tx: tx.pages.list())
    assert page.run_id == run.id
    assert "kubectl-edit" in page.reason
    h.settle()
    assert len(h.store.read(lambda tx: tx.pages.list())) == 1
    h.commands.release(run.id, ALICE, "that was me")
    h.settle()
    assert h.row(run.id).state is RunState.SUCCEEDED
    assert not h.store.read(lambda tx: tx.pages.list()), "who releases it has seen it"


def test_old_or_ignored_changes_and_approved_runs_are_not_held(h: Harness) -> None:
    rules(h, fresh=Fresh(600.0, frozenset({"autoscaler"})))
    fresh(h, "kubectl-edit", 700)
    assert h.run(UP, to=2).state is RunState.SUCCEEDED
    fresh(h, "autoscaler", 1)
    assert h.run(UP, to=3).state is RunState.SUCCEEDED
    fresh(h, "kubectl-edit", 1)
    run = h.run(UP, RunMode.APPROVE, to=4).id
    (gate,) = h.store.read(lambda tx: tx.gates.of_run(run))
    h.commands.approve(gate.id, BOB)
    h.settle()
    assert h.row(run).state is RunState.SUCCEEDED


def test_another_change_after_the_release_holds_again(h: Harness) -> None:
    rules(h, fresh=Fresh(600.0))
    fresh(h, "kubectl-edit", 60)
    run = h.run(UP, to=2).id
    h.clock.advance(5)
    h.commands.release(run, ALICE)
    h.clock.advance(5)
    fresh(h, "helm", 1)
    h.settle()
    assert h.row(run).state is RunState.HELD
    assert "helm" in h.row(run).reason


# ---------------------------------------------------------------- pages


class Told:
    """A pager that keeps what it was told; one that fails at first where asked to."""

    def __init__(self, fails: int = 0) -> None:
        self.pages: list[PageRow] = []
        self.fails = fails

    def page(self, page: PageRow) -> None:
        if self.fails:
            self.fails -= 1
            raise RuntimeError("the pager is down")
        self.pages.append(page)


def test_a_run_that_needs_a_person_pages_until_somebody_has_seen_it(h: Harness) -> None:
    plan = program({**setting("up", "stuck", 2), "on_failure": "escalate"}, playbook="toys/fail")
    run = h.run(plan)
    assert run.state is RunState.NEEDS_HUMAN
    told = Told(fails=1)
    paging = Paging(h.store, told, repeat={"critical": 300.0})
    assert paging.tick() == 1
    assert told.pages == []  # the pager was down; the page comes again
    assert paging.tick() == 0
    for _ in range(2):
        h.clock.advance(301)
        assert paging.tick() == 1
    assert [page.told for page in told.pages] == [1, 2]
    assert run.id in told.pages[0].reason
    h.store.write(lambda tx: acknowledge_page(tx, told.pages[0].id, BOB, "on it"))
    h.clock.advance(1000)
    assert paging.tick() == 0
    assert [kind for kind in h.kinds(run.id) if kind.startswith("page.")] == [
        *["page.told"] * 3,
        "page.seen",
    ]


def test_whoever_acts_on_the_run_has_seen_its_page(h: Harness) -> None:
    plan = program({**setting("up", "stuck", 2), "on_failure": "escalate"}, playbook="toys/fail")
    run = h.run(plan).id
    h.table.refuse.clear()
    h.commands.retry(run, ALICE)
    assert h.store.read(lambda tx: tx.pages.list()) == []
    h.settle()
    assert h.row(run).state is RunState.SUCCEEDED


def test_brakes_that_are_not_configured_cost_no_statement(h: Harness) -> None:
    """The harness knows none; a run's end sets nothing and counts nothing."""
    assert h.services.brakes == BrakeRules()
    h.run(FAIL)
    assert h.store.read(lambda tx: tx.brakes.list()) == []
    replaced = replace(h.services.brakes, at_once=1)
    assert replaced.at_once_of(UP) == 1
