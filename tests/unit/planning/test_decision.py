"""Every case of the decision, alone and against every other."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.domain.run import ENDS, RunMode, RunState
from engine.language.rules import Concurrency, Count, Rule, Throttle
from engine.planning import decision as d
from engine.planning.decision import Facts, OpenEpisode, Pause, Reason, Verdict, decide

NOW = datetime(2026, 11, 23, 3, 15, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def rule(**changes: Any) -> Rule:
    return Rule(**{"name": "r", "playbook": "p/q", **changes})


BASE = Facts(now=NOW, firing_since=ago(60), max_age=21_600)
QUIET = Concurrency(group="g", when_busy="skip")
JOIN = Concurrency(group="g", when_busy="join")
QUEUE = Concurrency(group="g", when_busy="queue")
OPEN = OpenEpisode("run-1", RunState.RUNNING)

# (name, rule's fields, facts' fields, verdict, reason), in the order in which the cases are asked
TABLE: list[tuple[str, dict[str, Any], dict[str, Any], Verdict, Reason]] = [
    ("resolved", {}, {"resolved": True}, Verdict.SKIP, Reason.RESOLVED),
    ("off", {"mode": "off"}, {}, Verdict.SKIP, Reason.OFF),
    ("episode", {}, {"episode": OPEN}, Verdict.JOIN, Reason.OPEN_EPISODE),
    ("firing_for", {"firing_for": 300.0}, {}, Verdict.WAIT, Reason.FIRING_FOR),
    ("old", {}, {"firing_since": ago(30_000)}, Verdict.ASK, Reason.TOO_OLD),
    (
        "count",
        {"count": Count(at_least=3, within=600)},
        {"window": 2},
        Verdict.SKIP,
        Reason.COUNT,
    ),
    ("paused", {}, {"paused": Pause("alice", "migration")}, Verdict.SKIP, Reason.PAUSED),
    (
        "cooldown",
        {},
        {"cooldown": Pause("engine", "3 failures", NOW + timedelta(hours=1))},
        Verdict.SKIP,
        Reason.COOLDOWN,
    ),
    (
        "throttled",
        {"throttle": Throttle(every=1800)},
        {"last_run": ago(600)},
        Verdict.SKIP,
        Reason.THROTTLED,
    ),
    (
        "busy",
        {"concurrency": QUIET},
        {"group": "g", "busy": ("run-9",)},
        Verdict.SKIP,
        Reason.BUSY_SKIP,
    ),
]


def test_the_table_has_every_case() -> None:
    assert len(TABLE) == len(d.CASES)


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case[0])
def test_a_case_alone(case: Any) -> None:
    _, rules, facts, verdict, reason = case
    made = decide(rule(**rules), replace(BASE, **facts))
    assert (made.verdict, made.code) == (verdict, reason)
    assert made.reason.startswith(f"{reason.value}: ")
    assert made.mode is None


@pytest.mark.parametrize(
    "pair", list(itertools.combinations(range(len(TABLE)), 2)), ids=lambda p: f"{p[0]}-{p[1]}"
)
def test_the_earlier_case_decides(pair: tuple[int, int]) -> None:
    first, second = TABLE[pair[0]], TABLE[pair[1]]
    # Being too old and having to fire on exclude each other; the earlier one's facts stand.
    made = decide(rule(**{**second[1], **first[1]}), replace(BASE, **{**second[2], **first[2]}))
    if {first[0], second[0]} == {"firing_for", "old"}:
        assert made.verdict is Verdict.ASK  # 30,000 s are more than 300 s and six hours
    else:
        assert (made.verdict, made.code) == (first[3], first[4])


@pytest.mark.parametrize("mode", list(RunMode))
def test_with_nothing_in_the_way_it_runs_in_the_rules_mode(mode: RunMode) -> None:
    made = decide(rule(mode=mode.value), BASE)
    assert (made.verdict, made.mode) == (Verdict.RUN, mode)


@pytest.mark.parametrize("state", list(RunState))
def test_an_episode_that_had_its_run_starts_nothing(state: RunState) -> None:
    made = decide(rule(), replace(BASE, episode=OpenEpisode("run-1", state)))
    assert (made.verdict, made.run_id) == (Verdict.JOIN, "run-1")
    if state is RunState.NEEDS_HUMAN:
        assert made.code is Reason.NEEDS_HUMAN
    elif state in ENDS:
        assert made.code is Reason.RUN_ENDED
        assert "nothing starts again until they resolve" in made.text
    else:
        assert made.code is Reason.OPEN_EPISODE


def test_an_episode_in_which_nothing_ran_yet_may_run() -> None:
    assert decide(rule(), replace(BASE, episode=OpenEpisode())).verdict is Verdict.RUN


@pytest.mark.parametrize(
    ("concurrency", "verdict", "run_id"),
    [
        (JOIN, Verdict.JOIN, "run-9"),
        (QUEUE, Verdict.WAIT, None),
        (QUIET, Verdict.SKIP, None),
        (None, Verdict.RUN, None),
    ],
)
def test_a_busy_group(concurrency: Any, verdict: Verdict, run_id: str | None) -> None:
    facts = replace(BASE, group="g", busy=("run-9", "run-8"))
    made = decide(rule(concurrency=concurrency), facts)
    assert (made.verdict, made.run_id) == (verdict, run_id)


def test_edges_in_time() -> None:
    waits = rule(firing_for=60.0)
    assert decide(waits, BASE).verdict is Verdict.RUN  # exactly as long as it must
    early = decide(waits, replace(BASE, firing_since=ago(59.999)))
    assert early.verdict is Verdict.WAIT
    assert early.until == ago(59.999) + timedelta(seconds=60)

    aged = replace(BASE, firing_since=ago(21_600))
    assert decide(rule(), aged).verdict is Verdict.RUN
    assert decide(rule(), replace(aged, now=NOW + timedelta(seconds=1))).verdict is Verdict.ASK
    assert decide(rule(), replace(aged, firing_since=ago(10**7), max_age=None)).verdict is (
        Verdict.RUN
    )

    throttled = rule(throttle=Throttle(every=60, by=("namespace",)))
    assert decide(throttled, replace(BASE, last_run=ago(60))).verdict is Verdict.RUN
    held = decide(throttled, replace(BASE, last_run=ago(59)))
    assert held.until == NOW + timedelta(seconds=1)
    assert held.text.endswith("at most once every 1m by namespace")

    cooled = replace(BASE, cooldown=Pause("x", "y", NOW))
    assert decide(rule(), cooled).verdict is Verdict.RUN


def test_a_long_firing_for_does_not_make_an_alert_old() -> None:
    patient = rule(firing_for=28_800.0)
    assert decide(patient, replace(BASE, firing_since=ago(30_000))).verdict is Verdict.RUN


def test_count_reached() -> None:
    counted = rule(count=Count(at_least=3, within=600, by=("namespace",)))
    assert decide(counted, replace(BASE, window=3)).verdict is Verdict.RUN
    short = decide(counted, replace(BASE, window=1))
    assert short.text == "1 of 3 episodes within 10m by namespace"


def test_a_dry_run_runs_while_paused() -> None:
    paused = replace(BASE, paused=Pause("alice", "x"))
    assert decide(rule(mode="dry_run"), paused).verdict is Verdict.RUN
    assert decide(rule(mode="auto"), paused).verdict is Verdict.SKIP


def test_an_open_breaker_takes_auto_away_and_nothing_else() -> None:
    facts = replace(BASE, breaker="3 failures within 1h")
    made = decide(rule(mode="auto"), facts)
    assert made.mode is RunMode.APPROVE
    assert "3 failures within 1h" in made.text
    assert decide(rule(mode="dry_run"), facts).mode is RunMode.DRY_RUN


def test_without_an_alert_age_and_firing_for_play_no_part() -> None:
    fired = Facts(now=NOW, max_age=10)
    assert decide(rule(firing_for=300.0), fired).verdict is Verdict.RUN
