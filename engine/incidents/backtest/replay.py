"""Plays the past through the live triage: the same matching, deciding and bookkeeping, on a clock that steps.

What a run does is not known; it is taken to succeed after an assumed time. Until then it holds its
concurrency group and its episode, as it would have.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from engine.domain.alert import Delivery
from engine.domain.clock import ManualClock, format_time
from engine.domain.errors import ActionFailed, InvalidInput
from engine.domain.run import RunMode, RunState
from engine.incidents.backtest.past import Came, Recorded
from engine.incidents.conditions import bound
from engine.incidents.lifecycle import on_run_end
from engine.incidents.matching import fire_scope
from engine.incidents.schedules import slot
from engine.incidents.triage import Triage, TriageSettings
from engine.journal.rows import DecisionRow, Page
from engine.journal.store import Store, Tx
from engine.language.comparisons import holds
from engine.language.program import Program
from engine.language.rules import Rule
from engine.planning.brakes import BrakeRules
from engine.running.braking import at_end
from engine.running.commands import Commands
from engine.running.requests import RunRequest

_PAGE = 1000


@dataclass(frozen=True)
class Started:
    """One run that would have been."""

    id: str
    rule: str
    playbook: str
    mode: RunMode
    at: datetime
    until: datetime


@dataclass(frozen=True)
class Decided:
    """One decision, with the alert that it was about."""

    at: datetime
    rule: str
    verdict: str
    code: str
    text: str
    alert: str  # its name and labels; empty for a schedule's or a query's fire
    key: tuple[str, str]  # fingerprint and start, or the time of the fire


@dataclass(frozen=True)
class Played:
    """What came of it."""

    since: datetime
    until: datetime
    alerts: int
    runs: Sequence[Started]
    decisions: Sequence[Decided]
    unanswered: Mapping[str, str] = field(default_factory=dict)


class Replay:
    """One pass over the past. `duration` gives the seconds that a playbook's run is taken to last."""

    def __init__(
        self,
        store: Store,
        clock: ManualClock,
        rules: Sequence[Rule],
        playbooks: Mapping[str, Program],
        *,
        recorded: Recorded,
        duration: Callable[[str], float],
        settings: TriageSettings,
        brakes: BrakeRules,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._duration = duration
        self._recorded = recorded
        self._playbooks = playbooks
        self._brakes = brakes
        self._cooldowns: dict[str, float] = {}
        self._commands = Commands(store, lambda: playbooks)
        self._triage = Triage(store, rules, self._create, query=recorded, settings=settings)
        self._running: list[tuple[datetime, str]] = []
        self._started: dict[str, Started] = {}

    def play(self, events: Sequence[Came], since: datetime, until: datetime) -> Played:
        """Play the events from `since` to `until`; those before the clock's time come at once."""
        coming = [one for one in sorted(events, key=lambda one: one.at) if one.at <= until]
        asked = self._slots(since, until)
        self._to(since)
        self._triage.drain()
        place = 0
        while True:
            times = [one for one in (self._next(asked), self._triage.due_without_queries()) if one]
            if place < len(coming):
                times.append(coming[place].at)
            now = min(times, default=None)
            if now is None or now > until:
                break
            self._to(now)
            first = place
            while place < len(coming) and coming[place].at <= self._clock.now():
                place += 1
            self._arrive(coming[first:place])
            self._end_runs()
            self._triage.drain()
            while asked and asked[-1] <= self._clock.now():
                asked.pop()
        return Played(
            since, until, len(coming), list(self._started.values()), self._decisions(),
            dict(self._recorded.failures),
        )  # fmt: skip

    def _next(self, asked: list[datetime]) -> datetime | None:
        times = [self._running[0][0]] if self._running else []
        if asked:
            times.append(asked[-1])
        return min(times, default=None)

    def _to(self, moment: datetime) -> None:
        seconds = (moment - self._clock.now()).total_seconds()
        # What is due at a moment of the past that has gone by is due now: time never goes back.
        self._clock.advance(max(seconds, 0.0))

    # ------------------------------------------------------------ what happens

    def _arrive(self, events: Sequence[Came]) -> None:
        if not events:
            return

        def work(tx: Tx) -> None:
            for one in events:
                tx.alerts.accept(Delivery("backtest", "", one.group_labels, "", (one.alert,)))

        self._store.write(work)

    def _create(self, tx: Tx, request: RunRequest) -> str:
        run_id = self._commands.create_run(tx, request)
        self._cooldowns[run_id] = request.cooldown
        now = tx.now()
        lasts = 0.0 if request.mode is RunMode.DRY_RUN else self._duration(request.playbook)
        until = now + timedelta(seconds=lasts)
        heapq.heappush(self._running, (until, run_id))
        rule = request.rule or ""
        self._started[run_id] = Started(run_id, rule, request.playbook, request.mode, now, until)
        return run_id

    def _end_runs(self) -> None:
        while self._running and self._running[0][0] <= self._clock.now():
            _, run_id = heapq.heappop(self._running)
            self._store.write(self._ended(run_id))

    def _ended(self, run_id: str) -> Callable[[Tx], None]:
        def work(tx: Tx) -> None:
            tx.runs.claim("backtest", _PAGE)  # only its owner may end a run, here as in life
            row = tx.runs.get(run_id)
            assert row is not None
            done = RunState.SUCCEEDED
            tx.runs.update(run_id, row.epoch, state=done, reason="assumed", ended=True)
            on_run_end(tx, row, done, "assumed", verified=False)
            program, cooldown = self._playbooks[row.playbook], self._cooldowns.get(run_id, 0.0)
            at_end(tx, self._brakes, "backtest", program, row, done, cooldown)
            tx.runs.release(run_id, row.epoch)

        return work

    # ------------------------------------------------------------ query triggers

    def _slots(self, since: datetime, until: datetime) -> list[datetime]:
        """The slots at which query triggers may do something, latest first.

        Where a query does not hold, only the first slot after one where it did matters: it closes.
        """
        found: set[datetime] = set()
        for rule in self._rules:
            trigger = rule.query
            if trigger is None or rule.mode == "off":
                continue
            at = slot(trigger, since) + timedelta(seconds=trigger.every)
            try:
                series = self._recorded.series(
                    bound(trigger.query, fire_scope("query", rule, format_time(at), None))
                )
            except (ActionFailed, InvalidInput):
                continue  # told among what could not be answered
            held = False
            while at <= until:
                holds_now = holds(trigger.is_, series.at(at.timestamp()))
                if holds_now or held:
                    found.add(at)
                held = holds_now
                at += timedelta(seconds=trigger.every)
        return sorted(found, reverse=True)

    # ------------------------------------------------------------ the record

    def _decisions(self) -> list[Decided]:
        def work(tx: Tx) -> list[Decided]:
            found: list[Decided] = []
            before: str | None = None
            while True:
                page = tx.decisions.list(Page(limit=_PAGE, before=before))
                found += [_decided(tx, row) for row in page]
                if len(page) < _PAGE:
                    return list(reversed(found))
                before = page[-1].id

        return self._store.read(work)


def _decided(tx: Tx, row: DecisionRow) -> Decided:
    code, _, text = row.reason.partition(": ")
    alert = tx.alerts.get(row.alert_id) if row.alert_id else None
    if alert is None:
        return Decided(row.at, row.rule, row.verdict, code, text, "", ("", format_time(row.at)))
    shown = ", ".join(
        f"{name}={value}"
        for name, value in sorted(alert.alert.labels.items())
        if name != "alertname"
    )
    name = f"{alert.alert.name} ({shown})" if shown else alert.alert.name
    key = (alert.alert.fingerprint, format_time(alert.alert.starts_at))
    return Decided(row.at, row.rule, row.verdict, code, text, name, key)


def start_of(moment: datetime) -> ManualClock:
    """Return a clock that stands at `moment`."""
    return ManualClock(moment.astimezone(UTC))
