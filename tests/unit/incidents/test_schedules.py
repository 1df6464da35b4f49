"""Rules that start by themselves: by the clock and by a metric. Times are the kit's own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from engine.domain.errors import ActionFailed, Category
from engine.domain.incident import IncidentState
from engine.domain.run import RunState
from engine.incidents.schedules import due, slot
from engine.journal.rows import BrakeRow
from engine.language.program import Comparison, Query
from engine.language.rules import QueryTrigger, Rule, Schedule
from tests.unit.incidents.conftest import MakeKit
from tests.unit.incidents.kit import START, Kit, Metrics, rule

HOURLY = Schedule(fields={"minute": "30"})


def scheduled(misfire: Any = "run_once", **changes: Any) -> Rule:
    schedule = Schedule(fields={"minute": "30"}, misfire=misfire)
    return rule("hourly", None, schedule=schedule, run_per=None, **changes)


def at(hour: int, minute: int, second: int = 0) -> datetime:
    return START.replace(hour=hour, minute=minute, second=second)


def test_what_is_due() -> None:
    assert due(HOURLY, START, at(3, 29)) is None
    found = due(HOURLY, START, at(3, 30))
    assert found is not None
    assert (found.at, found.missed, found.on_time) == (at(3, 30), 0, True)
    late = due(HOURLY, START, at(3, 31, 1))
    assert late is not None
    assert not late.on_time
    outage = due(HOURLY, START, at(8, 30, 5))
    assert outage is not None
    assert (outage.at, outage.missed, outage.on_time) == (at(8, 30), 5, True)


def test_a_schedule_runs_at_its_time_without_an_incident(make: MakeKit) -> None:
    kit = make(scheduled(mode="auto"))
    assert kit.later(1790) == 0
    assert kit.later(10) == 1
    (run,) = kit.runs()
    assert (run.rule, run.priority, run.incident_id) == ("hourly", 1, None)
    assert run.trigger["kind"] == "schedule"
    assert run.trigger["at"] == "2026-11-23T03:30:00Z"
    assert kit.incidents() == []
    assert kit.body("node:local", "schedule.fired") == [
        {"rule": "hourly", "at": "2026-11-23T03:30:00Z", "missed": 0, "skipped": False}
    ]
    kit.end(run.id)
    kit.later(3600)
    assert len(kit.runs()) == 2


def test_two_nodes_fire_once(make: MakeKit) -> None:
    one = make(scheduled())
    two = make(scheduled(), path=one.path, clock=one.clock, node="two")
    one.triage.drain()
    two.triage.drain()
    one.later(1800)
    two.triage.drain()
    assert len(one.runs()) == 1


def test_a_run_still_at_work_is_joined_not_doubled(make: MakeKit) -> None:
    kit = make(scheduled())
    kit.triage.drain()
    kit.later(1800)
    kit.later(3600)
    assert kit.said() == [("run", "matched"), ("join", "open_episode")]


@pytest.mark.parametrize(
    ("misfire", "said"),
    [("run_once", [("run", "matched")]), ("skip", [("skip", "misfire")])],
)
def test_fires_missed_while_down(make: MakeKit, misfire: str, said: Any) -> None:
    kit = make(scheduled(misfire))
    kit.triage.drain()
    kit.clock.advance(4 * 3600)  # 03:30 to 06:30 are missed; it is 07:00
    kit.restart()
    kit.triage.drain()
    assert kit.said() == said
    fired = kit.body("node:local", "schedule.fired")
    assert fired[0]["missed"] == 3
    assert fired[0]["at"] == "2026-11-23T06:30:00Z"
    kit.later(1800)
    assert kit.said()[-1] == (
        ("join", "open_episode") if misfire == "run_once" else ("run", "matched")
    )


def test_what_came_before_the_rule_was_first_seen_is_no_misfire(make: MakeKit) -> None:
    kit = make()
    kit.later(7200)
    kit.triage.reload([scheduled()])
    kit.triage.drain()
    assert kit.said() == []


# ---------------------------------------------------------------- by a metric


def querying(**changes: Any) -> Rule:
    trigger: dict[str, Any] = {
        "query": Query(
            connection="metrics", query="rate", params={"r": "{{ trigger.labels.rule }}"}
        ),
        "is": Comparison(op=">", value=0.01),
        "every": 60.0,
        "for": changes.pop("for_", 0.0),
    }
    return rule("rate", None, query=QueryTrigger.model_validate(trigger), run_per=None, **changes)


def query_kit(make: MakeKit, value: float | None, **changes: Any) -> Kit:
    return make(querying(**changes), metrics=Metrics(rate=value))


def test_slots_are_the_same_on_every_node() -> None:
    trigger = querying().query
    assert trigger is not None
    assert slot(trigger, START + timedelta(seconds=59.9)) == START
    assert slot(trigger, START + timedelta(seconds=60)) == START + timedelta(seconds=60)


def test_a_query_that_holds_starts_one_run_an_episode(make: MakeKit) -> None:
    kit = query_kit(make, 0.5)
    kit.triage.drain()
    for _ in range(3):
        kit.later(60)
    (run,) = kit.runs()
    assert kit.said() == [("run", "matched")], "an episode is decided once, not once a slot"
    assert (run.trigger["kind"], run.trigger["value"]) == ("query", 0.5)
    assert run.incident_id == kit.incident().id
    assert kit.metrics.asked[0].params == {"r": "rate"}

    kit.end(run.id, RunState.SUCCEEDED, verified=False)
    kit.later(60)
    assert len(kit.runs()) == 1, "it holds still: nothing starts again until it does not"
    kit.metrics.answers["rate"] = 0.0
    kit.later(60)
    assert kit.incident().state is IncidentState.RESOLVED
    kit.metrics.answers["rate"] = 0.5
    kit.later(60)
    assert len(kit.runs()) == 2


def test_a_query_is_asked_once_a_slot(make: MakeKit) -> None:
    kit = query_kit(make, 0.0)
    for _ in range(10):
        kit.triage.tick()
    assert len(kit.metrics.asked) == 1
    kit.later(59)
    assert len(kit.metrics.asked) == 1
    kit.later(1)
    assert len(kit.metrics.asked) == 2


@pytest.mark.parametrize("value", [0.0, None, float("nan"), 0.01])
def test_nothing_nan_and_too_little_never_fire(make: MakeKit, value: float | None) -> None:
    kit = query_kit(make, value)
    kit.triage.drain()
    kit.later(600)
    assert kit.runs() == []


def test_for_must_hold_at_every_slot_and_survives_a_restart(make: MakeKit) -> None:
    kit = query_kit(make, 0.5, for_=180.0)
    kit.triage.drain()
    kit.later(60)
    kit.metrics.answers["rate"] = 0.0
    kit.later(60)
    kit.metrics.answers["rate"] = 0.5
    for _ in range(3):
        kit.later(60)
        assert kit.runs() == []
    kit.restart()
    kit.later(60)
    assert len(kit.runs()) == 1


def test_a_query_that_fails_neither_fires_nor_resolves(make: MakeKit) -> None:
    kit = query_kit(make, 0.5)
    kit.triage.drain()
    kit.end(kit.runs()[0].id)
    kit.metrics.answers["rate"] = ActionFailed(Category.TRANSIENT, "refused")
    kit.later(60)
    assert kit.incident().state is not IncidentState.RESOLVED
    kit.metrics.answers["rate"] = 0.5
    kit.later(60)
    assert len(kit.runs()) == 1


def test_what_was_held_back_runs_once_it_may_and_says_so_once(make: MakeKit) -> None:
    kit = query_kit(make, 0.5)
    kit.store.write(lambda tx: tx.brakes.set(BrakeRow("kill", True, "alice", "x", START)))
    kit.triage.drain()
    kit.later(60)
    kit.later(60)
    assert kit.said() == [("skip", "paused")]
    kit.store.write(lambda tx: tx.brakes.set(BrakeRow("kill", False, "alice", "x", START)))
    kit.later(60)
    assert kit.said() == [("skip", "paused"), ("run", "matched")]
    assert len(kit.incidents()) == 1


def test_two_nodes_ask_and_one_acts(make: MakeKit) -> None:
    one = query_kit(make, 0.5)
    two = make(*one.rules, path=one.path, clock=one.clock, metrics=Metrics(rate=0.5))
    one.triage.drain()
    two.triage.drain()
    assert len(one.runs()) == 1
