"""Whatever holds or skips something says why in the timeline, in words that a person in the channel understands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from engine.domain.plan import FreshChange
from engine.incidents.views import timeline
from engine.planning.brakes import BrakeRules, Breaker, Fresh, Limit, Window
from tests.harness import ALICE, BOB, Harness
from tests.harness_programs import program, setting
from tests.toys import Table

UP = program(setting("up", "x", 2), playbook="toys/up")
COSTLY = program(
    {"id": "up", "action": "toy.set", "with": {"name": "x", "value": 2, "pods": 3}},
    playbook="toys/costly",
)


@pytest.fixture
def h(tmp_path: Path) -> Iterator[Harness]:
    made = Harness(tmp_path, Table(x=1, y=1, stuck=1))
    made.table.refuse.add("stuck")
    yield made
    made.store.close()


def told(h: Harness, run: str) -> str:
    return "\n".join(one["text"] for one in h.store.read(lambda tx: timeline(tx, [run])))


def killed(h: Harness) -> str:
    h.commands.pause(ALICE, "the exporter lies")
    return h.run(UP).id


def held(h: Harness) -> str:
    run = h.start(UP)
    h.commands.hold(run, BOB, "let me look first")
    h.settle()
    return run


def window(h: Harness) -> str:
    now = h.clock.now()
    once = Window("db", "hold", since=now, until=now + timedelta(minutes=10), reason="upgrade")
    h.services.brakes = BrakeRules(windows=(once,))
    return h.run(UP).id


def others(h: Harness) -> str:
    h.services.brakes = BrakeRules(fresh=Fresh(600.0, frozenset()))
    h.table.fresh["x"] = (FreshChange("kubectl-edit", h.clock.now(), "spec.replicas"),)
    return h.run(UP).id


def budget(h: Harness) -> str:
    h.limit("pods", 2)
    return h.run(COSTLY).id


def budget_of_a_connection(h: Harness) -> str:
    h.services.brakes = BrakeRules(connections={"toy": {"pods": Limit(2, 3600.0)}})
    return h.run(COSTLY).id


def breaker(h: Harness) -> str:
    h.services.brakes = BrakeRules(breaker=Breaker(1, 3600.0))
    fail = program(setting("up", "stuck", 2), playbook="toys/up")
    h.run(fail)
    return h.run(UP).id


def lock(h: Harness) -> str:
    h.start(program(setting("one", "x", 3), {"id": "w", "kind": "wait", "for_": 60}))
    h.settle()
    return h.run(UP).id


def places(h: Harness) -> str:
    h.services.brakes = BrakeRules(at_once=1)
    waits = program(
        setting("one", "y", 3), {"id": "w", "kind": "wait", "for_": 60}, playbook="toys/up"
    )
    h.start(waits)
    h.settle()
    return h.run(UP).id


def skipped(h: Harness) -> str:
    return h.run(program({**setting("up", "x", 2), "when": "1 > 2"}, playbook="toys/up")).id


CASES: tuple[tuple[Callable[[Harness], str], tuple[str, ...]], ...] = (
    (killed, ("alice", "the exporter lies")),
    (held, ("bob held the run", "let me look first")),
    (window, ("maintenance window db", "upgrade")),
    (others, ("kubectl-edit", "spec.replicas")),
    (budget, ("budget global", "pods")),
    (budget_of_a_connection, ("budget connection:toy", "pods")),
    (breaker, ("the circuit breaker of toys/up is open", "1 failed runs within")),
    (lock, ("waits for a lock", "toy:x")),
    (places, ("1 run(s) of toys/up at a time",)),
    (skipped, ("up skipped", "1 > 2")),
)


@pytest.mark.parametrize(("bring", "words"), CASES, ids=[one[0].__name__ for one in CASES])
def test_the_reason_stands_in_the_timeline(
    h: Harness, bring: Callable[[Harness], str], words: tuple[str, ...]
) -> None:
    run = bring(h)
    assert ("x", 2) not in h.table.writes, "it is really held or skipped"
    text = told(h, run)
    for word in words:
        assert word in text, text
