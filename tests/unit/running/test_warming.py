"""Warm-up: what a new process fetches before its runs need it, by what earlier runs used, and what it never does."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from engine.domain.errors import ActionFailed, Category
from engine.domain.run import RunMode
from engine.language.program import Program
from engine.running.warming import Budget, Warmer
from tests.harness import Harness
from tests.harness_programs import program
from tests.toys import Table

COVERS = ("C6",)

NOW = {"id": "now", "action": "toy.get", "with": {"connection": "toy", "name": "x"}}
RAISE = program(
    NOW,
    {
        "id": "up",
        "action": "toy.set",
        "with": {"connection": "toy", "name": "x", "value": "{{ steps.now.value + 17 }}"},
        "when": "steps.now.value < 1017",
    },
    playbook="toys/raise",
)
AT = {"type": "object", "properties": {"at": {"type": "string"}}}
LOOK = program(
    {**NOW, "with": {"connection": "{{ inputs.at }}", "name": "x"}}, playbook="toys/look", inputs=AT
)
TALK = program({"id": "say", "kind": "manual", "text": "x", "role": "sre"}, playbook="toys/talk")


class Process(Harness):
    """One process of an installation; the next one finds the same store."""

    def __init__(self, folder: Path, *programs: Program) -> None:
        super().__init__(folder, Table(x=1))
        self.programs |= {one.playbook: one for one in programs}

    def warmer(self, **budget: Any) -> Warmer:
        return Warmer(self.services, self.worker.programs, lambda: self.programs, Budget(**budget))

    def warm(self, **budget: Any) -> Any:
        warmer = self.warmer(**budget)
        warmer.warm(threading.Event())
        return warmer.report()

    def uses(self) -> Any:
        return self.connections.tally.counts()


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """An installation whose runs so far were three of `raise` and one of `look`."""
    first = Process(tmp_path)
    for _ in range(3):
        first.run(RAISE)
    first.run(LOOK, at="toy")
    first.worker.stop()
    first.store.close()
    return tmp_path


def test_the_first_run_after_warm_up_opens_nothing_and_parses_nothing(before: Path) -> None:
    cold = Process(before)
    cold.run(RAISE)
    assert cold.table.opened == [False, True]
    assert cold.uses()["connection"][1] == 2
    assert cold.uses()["playbook"] == (0, 1)

    warm = Process(before, RAISE, LOOK)
    report = warm.warm()
    assert report["state"] == "done"
    assert warm.table.opened == [False, True]
    assert report["fetched"]["connection"] == 2
    assert report["fetched"]["playbook"] == 2
    warm.table.opened.clear()
    warm.run(RAISE)
    assert warm.table.opened == []
    assert (warm.uses()["connection"][1], warm.uses()["playbook"]) == (0, (1, 0))


def test_the_hit_rate_is_of_what_runs_used(before: Path) -> None:
    engine = Process(before, RAISE)
    warmer = engine.warmer()
    assert warmer.report()["uses"]["playbook"] == {"hits": 0, "misses": 0, "rate": None}
    warmer.warm(threading.Event())
    assert warmer.report()["uses"]["playbook"]["rate"] is None, "warm-up itself is no use"
    for one in (RAISE, TALK, TALK, RAISE):
        engine.run(one)
    assert warmer.report()["uses"]["playbook"] == {"hits": 3, "misses": 1, "rate": 0.75}


def test_templates_are_compiled_once(before: Path) -> None:
    once = {**NOW, "when": "inputs.only_here_4711 | default(true)"}
    fresh = program(once, playbook="toys/raise")
    first = Process(before, fresh).warm()
    assert first["fetched"]["template"] == 1
    assert Process(before, fresh).warm()["fetched"]["template"] == 0


def test_a_plan_is_made_of_the_world_as_it_is_not_as_it_was(before: Path) -> None:
    engine = Process(before, RAISE)
    engine.warm()
    assert engine.table.reads == [], "nothing that a plan is made of is read ahead"
    engine.table.values["x"] = 1000
    row = engine.run(RAISE, RunMode.APPROVE)
    plan: Any = engine.store.read(lambda tx: tx.blobs.plan(row.id))
    (up,) = [step for step in plan["steps"] if step["address"] == "up"]
    assert (up["plan"]["before"], up["plan"]["after"]) == ({"value": 1000}, {"value": 1017})


def test_a_connection_that_an_input_named_is_found(tmp_path: Path) -> None:
    first = Process(tmp_path)
    first.run(LOOK, at="toy")
    first.store.close()
    engine = Process(tmp_path, LOOK)
    assert engine.warm()["fetched"]["connection"] == 1
    assert engine.table.opened == [False], "nothing that only reads gets a client that writes"


def test_the_most_used_comes_first_and_the_budget_is_kept(before: Path) -> None:
    whole = Process(before, RAISE, LOOK).warm()["items"]
    assert [(one["what"], one["uses"]) for one in whole] == [
        ("connection", 4),
        ("connection", 3),
        ("playbook", 3),
        ("playbook", 1),
    ]
    assert [one["name"] for one in whole[2:]] == ["toys/raise", "toys/look"]
    slow = Process(before, RAISE, LOOK)
    slow.table.on_open = lambda: slow.clock.advance(10)
    short = slow.warm(seconds=5)
    assert (short["state"], short["left_out"], len(short["items"])) == ("cut short", 3, 1)
    assert short["seconds"] == 10


def test_it_stops_before_the_process_grows_beyond_its_budget(before: Path) -> None:
    hungry = Process(before, RAISE, LOOK)
    held: list[bytearray] = []
    hungry.table.on_open = lambda: held.append(bytearray(b"x" * (32 * 2**20)))
    report = hungry.warm(memory=8 * 2**20)
    assert (report["state"], len(report["items"])) == ("cut short", 1)
    assert report["memory"]["grown"] > 16 * 2**20


def test_a_system_that_does_not_answer_is_only_a_note(before: Path) -> None:
    engine = Process(before, RAISE, LOOK)
    engine.secrets["pass"] = "hunter2-hunter2"
    engine.connections._secrets.reveal({"$secret": "pass"})

    def refuse() -> None:
        raise ActionFailed(Category.TRANSIENT, "no answer from hunter2-hunter2@toy")

    engine.table.on_open = refuse
    report = engine.warm()
    assert report["state"] == "done"
    assert report["fetched"]["playbook"] == 2, "the rest is fetched all the same"
    assert len(report["notes"]) == 2
    assert "no answer" in report["notes"][0]
    engine.table.on_open = lambda: None
    assert engine.run(RAISE).state.value == "succeeded"


def test_what_was_used_long_ago_or_is_loaded_no_more_is_not_fetched(before: Path) -> None:
    assert Process(before, LOOK).warm()["items"][-1]["name"] == "toys/look"
    later = Process(before, RAISE, LOOK)
    later.clock.advance(8 * 86400)
    assert later.warm()["items"] == []


def test_being_told_to_stop_it_fetches_nothing_more(before: Path) -> None:
    engine = Process(before, RAISE)
    stop = threading.Event()
    engine.table.on_open = stop.set
    warmer = engine.warmer()
    warmer.warm(stop)
    assert (warmer.report()["state"], len(warmer.report()["items"])) == ("cut short", 1)
