"""Whatever is delivered, redelivered, resolved, restarted, however the clock moves: one run per episode.

The model beside the machine is written from LANGUAGE's words and knows nothing of the store: it says how
many runs there must be for every rule and key, which alerts may never start one, and when an episode is
open. After every step the journal's rows must say the same.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from engine.domain.alert import Alert
from engine.domain.run import RunState
from engine.incidents.batch import HURRIED
from tests.unit.incidents import kit as k

RULES = (
    k.rule("down", 'alertname="Down"', file="a.yaml"),
    k.rule("slow", 'alertname="Slow"', file="a.yaml", firing_for=60.0),
    k.rule("also", 'alertname=~"Down|Slow"', file="b.yaml", run_per=("alertname",)),
)
PATIENCE = {"down": 0.0, "slow": 60.0, "also": 0.0}
TAKES = {"Down": ("down", "also"), "Slow": ("slow", "also"), "Other": ()}
SHARED_MEMORY = Path("/dev/shm")
ENDS = st.sampled_from(
    [RunState.SUCCEEDED, RunState.FAILED, RunState.UNDONE, RunState.CANCELLED, RunState.NEEDS_HUMAN]
)

SENDERS = st.sampled_from(["am-1", "am-2"])

Identity = tuple[str, datetime]
Place = tuple[str, str]


@dataclass
class Episode:
    firing: set[Identity]
    run_over: bool = False


@dataclass
class Model:
    """What must be, in the simplest words."""

    seen: set[tuple[str, datetime, str]] = field(default_factory=set)
    undecided: list[Alert] = field(default_factory=list)
    waiting: list[tuple[Alert, str, datetime]] = field(default_factory=list)
    ended: set[Identity] = field(default_factory=set)
    episodes: dict[Place, Episode] = field(default_factory=dict)
    runs: Counter[Place] = field(default_factory=Counter)

    def accept(self, alert: Alert) -> None:
        key = (alert.fingerprint, alert.starts_at, alert.status.value)
        if key in self.seen:
            return
        self.seen.add(key)
        self.undecided.append(alert)
        if alert.status.value == "resolved":
            self.ended.add((alert.fingerprint, alert.starts_at))

    def decide(self, now: datetime) -> None:
        self.decide_fresh(now)
        due = [one for one in self.waiting if one[2] <= now]
        self.waiting = [one for one in self.waiting if one[2] > now]
        for alert, name, _ in due:
            self._ask(alert, name, now)

    def decide_fresh(self, now: datetime) -> None:
        fresh, self.undecided = self.undecided, []
        for alert in fresh:
            if alert.status.value == "resolved":
                self._end((alert.fingerprint, alert.starts_at))
            else:
                for name in TAKES[alert.labels["alertname"]]:
                    self._ask(alert, name, now)

    def _ask(self, alert: Alert, name: str, now: datetime) -> None:
        identity = (alert.fingerprint, alert.starts_at)
        if identity in self.ended:
            return
        place = (name, k_key(name, alert))
        episode = self.episodes.get(place)
        due = alert.starts_at + timedelta(seconds=PATIENCE[name])
        if episode is not None:
            episode.firing.add(identity)
        elif PATIENCE[name] and now < due:
            self.waiting.append((alert, name, due))
        else:
            self.episodes[place] = Episode({identity})
            self.runs[place] += 1

    def _end(self, identity: Identity) -> None:
        for place, episode in list(self.episodes.items()):
            episode.firing.discard(identity)
            self._settle(place)

    def run_ended(self, place: Place) -> None:
        self.episodes[place].run_over = True
        self._settle(place)

    def _settle(self, place: Place) -> None:
        episode = self.episodes[place]
        if episode.run_over and not episode.firing:
            del self.episodes[place]


def k_key(name: str, alert: Alert) -> str:
    label = "alertname" if name == "also" else "ns"
    return f'{{"{label}":"{alert.labels[label]}"}}'


class TriageMachine(RuleBasedStateMachine):
    """Two senders, one store, one clock."""

    @initialize()
    def start(self) -> None:
        home = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="stanch-machine-", dir=home))
        self.kit = k.Kit(self.folder, *RULES, max_alert_age=None)
        self.model = Model()
        self.firing: list[Alert] = []
        self.deliver("Down", "a", "1", 0, 1, "am-1")

    @rule(
        name=st.sampled_from(["Down", "Down", "Slow", "Other"]),
        ns=st.sampled_from(["a", "b"]),
        pod=st.sampled_from(["1", "2"]),
        age=st.sampled_from([0, 30, 90]),
        times=st.integers(1, 2),
        sender=SENDERS,
    )
    def deliver(self, name: str, ns: str, pod: str, age: int, times: int, sender: str) -> None:
        at = self.kit.clock.now() - timedelta(seconds=age)
        alert = k.firing(name, ns=ns, pod=pod, at=at)
        self.firing.append(alert)
        self._send([alert] * times, sender)

    @rule(which=st.integers(0, 11), sender=SENDERS, both=st.booleans())
    def redeliver(self, which: int, sender: str, both: bool) -> None:
        chosen = self.firing[which % len(self.firing)]
        self._send([chosen, *self.firing] if both else [chosen], sender)

    @rule(which=st.integers(0, 11), sender=SENDERS, again=st.booleans())
    def resolve(self, which: int, sender: str, again: bool) -> None:
        chosen = self.firing[which % len(self.firing)]
        # One webhook may say that one alert resolved and that others fire on.
        self._send([k.resolved(chosen), *([chosen] if again else [])], sender)

    @rule(at=st.sampled_from([0, 1]))
    def resolve_what_never_fired(self, at: int) -> None:
        stranger = k.firing("Down", ns="a", pod="9", at=k.START + timedelta(seconds=at))
        self._send([k.resolved(stranger)], "am-1")

    def _send(self, alerts: list[Alert], sender: str) -> None:
        for alert in alerts:
            self.model.accept(alert)
        self.kit.accept(*alerts, group_key=sender)

    @rule()
    def tick(self) -> None:
        self._settle()

    @rule()
    def hurry(self) -> None:
        """Decide what was just delivered with its commit, as the intake does where little comes in."""
        self.kit.triage.hurry()
        self.kit.store.write(lambda _: None)  # it is in turn behind it
        if len(self.model.undecided) <= HURRIED:
            self.model.decide_fresh(self.kit.clock.now())

    def _settle(self) -> None:
        self.kit.triage.drain()
        self.model.decide(self.kit.clock.now())

    @rule(seconds=st.sampled_from([1, 45, 600, -30]))
    def move_the_clock(self, seconds: int) -> None:
        self.kit.clock.advance(seconds)

    @rule(chance=st.integers(0, 2))
    def restart(self, chance: int) -> None:
        if chance == 0:  # it costs as much as everything else together
            self.kit.restart()

    @rule(which=st.integers(0, 5), state=ENDS)
    def end_a_run(self, which: int, state: RunState) -> None:
        active = [run for run in self.kit.runs() if run.ended_at is None]
        if not active:
            return
        run = active[which % len(active)]
        episode = self.kit.store.read(lambda tx: tx.episodes.of_run(run.id))
        assert episode is not None
        self.kit.end(run.id, state, verified=True)
        if state is not RunState.NEEDS_HUMAN:
            self.model.run_ended((episode.rule, episode.key))

    @invariant()
    def the_rows_say_what_the_model_says(self) -> None:
        if not hasattr(self, "kit"):
            return  # hypothesis asks before it starts
        rows = self.kit.store.read(
            lambda tx: [
                (tx.episodes.find_open(name, key), name, key)
                for name, keys in KEYS.items()
                for key in keys
            ]
        )
        found = {(name, key) for episode, name, key in rows if episode is not None}
        assert found == set(self.model.episodes)

    def teardown(self) -> None:
        if not hasattr(self, "kit"):
            return
        try:
            self._settle()
            self._check_the_whole_story()
        finally:
            self.kit.close()
            shutil.rmtree(self.folder)

    def _check_the_whole_story(self) -> None:
        decisions = self.kit.decisions()
        alerts = {row.id: row for row in self.kit.store.read(lambda tx: tx.alerts.list(k.ALL))}
        started = [row for row in decisions if row.verdict == "run"]
        assert len(started) == len(self.kit.runs()) == self.model.runs.total()
        assert len({(row.alert_id, row.rule) for row in started}) == len(started)
        for row in started:
            assert alerts[row.alert_id or ""].alert.status.value == "firing"
        per_place = Counter(
            (row.rule, k_key(row.rule, alerts[row.alert_id or ""].alert)) for row in started
        )
        assert per_place == self.model.runs
        # None lost: every alert that was accepted has been decided, with a reason.
        assert {row.alert_id for row in decisions} == set(alerts)
        assert all(row.decided for row in alerts.values())
        assert all(row.reason for row in decisions)


KEYS = {
    "down": ['{"ns":"a"}', '{"ns":"b"}'],
    "slow": ['{"ns":"a"}', '{"ns":"b"}'],
    "also": ['{"alertname":"Down"}', '{"alertname":"Slow"}'],
}

TriageMachine.TestCase.settings = settings(
    max_examples=2000,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestTriage = pytest.mark.timeout(600)(TriageMachine.TestCase)
