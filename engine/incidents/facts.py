"""Gathers from the store what a decision is made from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from engine.domain.clock import parse_time
from engine.incidents.casebook import Case, Casebook, label_key
from engine.incidents.matching import member
from engine.journal.rows import BrakeRow
from engine.journal.store import Tx
from engine.language.rules import Rule
from engine.language.templates import render
from engine.planning.decision import Facts, OpenEpisode, Pause

KILL_SWITCH = "kill"


class FactFinder:
    """The facts of one transaction; brakes are read once."""

    def __init__(self, tx: Tx, cases: Casebook, now: datetime, max_age: float | None) -> None:
        self._tx = tx
        self._cases = cases
        self._now = now
        self._max_age = max_age
        self._brakes: Mapping[str, BrakeRow] | None = None

    def about(self, case: Case) -> Facts:
        """Return the facts of a case; counts its episode into the rule's window.

        Raises:
            TemplateError: the concurrency group cannot be rendered.
        """
        rule, throttle, alert = case.rule, case.rule.throttle, case.alert
        group = None
        if rule.concurrency is not None:
            group = str(render(rule.concurrency.group, case.scope))
        resolved = alert is not None and self._tx.alerts.is_resolved(
            alert.alert.fingerprint, alert.alert.starts_at
        )
        last_run = None
        if throttle is not None:
            last_run = self._tx.windows.last_run(rule.name, label_key(throttle.by, case.labels))
        return Facts(
            now=self._now,
            firing_since=alert.alert.starts_at if alert is not None else None,
            resolved=resolved,
            max_age=self._max_age,
            episode=self._episode(case),
            window=self._window(case, resolved),
            last_run=last_run,
            group=group,
            busy=tuple(run.id for run in self._tx.runs.active_in_group(group)) if group else (),
            paused=self._pause(KILL_SWITCH),
            cooldown=self._cooldown(rule),
            breaker=self._breaker(rule.playbook),
        )

    def _episode(self, case: Case) -> OpenEpisode | None:
        episode = self._cases.episode(case.rule.name, case.key)
        if episode is None:
            return None
        state = self._cases.run_state(episode.run_id) if episode.run_id else None
        return OpenEpisode(episode.run_id, state)

    def _window(self, case: Case, resolved: bool) -> int:
        """Count this episode into the rule's window, once it has fired as long as it must."""
        rule, count, alert = case.rule, case.rule.count, case.alert
        if count is None or alert is None or rule.mode == "off":
            return 0
        key = label_key(count.by, case.labels)
        fired_for = (self._now - alert.alert.starts_at).total_seconds()
        if not rule.firing_for or (fired_for >= rule.firing_for and not resolved):
            self._tx.windows.add(rule.name, key, member(alert), alert.received_at)
        since = self._now - timedelta(seconds=count.within)
        return self._tx.windows.count(rule.name, key, since)

    def _in_force(self) -> Mapping[str, BrakeRow]:
        if self._brakes is None:
            self._brakes = {
                row.name: row for row in self._tx.brakes.list() if row.in_force(self._now)
            }
        return self._brakes

    def _pause(self, name: str) -> Pause | None:
        row = self._in_force().get(name)
        if row is None:
            return None
        until = row.body.get("until")
        return Pause(row.by, row.reason, parse_time(until) if until else None)

    def _cooldown(self, rule: Rule) -> Pause | None:
        """The cooldown that is not over, of the playbook or of the rule."""
        if not self._in_force():
            return None
        names = (f"cooldown:{rule.playbook}", f"cooldown:rule:{rule.name}")
        return next((pause for pause in map(self._pause, names) if pause is not None), None)

    def _breaker(self, playbook: str) -> str | None:
        row = self._in_force().get(f"breaker:{playbook}")
        return row.reason if row else None
