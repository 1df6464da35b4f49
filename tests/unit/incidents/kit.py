"""A triage with a real store on a moved clock, and short words for what happens to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from engine.domain.alert import Alert, AlertStatus, Delivery
from engine.domain.clock import Clock, ManualClock
from engine.domain.entry import Entry
from engine.domain.errors import ActionFailed
from engine.domain.ids import new_id
from engine.domain.run import RunState
from engine.edges.intake.fingerprint import fingerprint
from engine.incidents.lifecycle import run_ended
from engine.incidents.ports import OnOpened
from engine.incidents.triage import Triage, TriageSettings
from engine.journal.database import open_store
from engine.journal.keys import Keys
from engine.journal.rows import DecisionRow, EpisodeRow, IncidentRow, Page, RunRow
from engine.journal.store import Store, Tx
from engine.language.matcherreading import parse_matchers
from engine.language.matchers import Matcher
from engine.language.program import Query
from engine.language.rules import Rule
from engine.running.requests import RunRequest
from tests.databases import put_database

START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
ALL = Page(limit=100_000)


def matchers(text: str) -> tuple[Matcher, ...]:
    return tuple(parse_matchers(text))


def rule(name: str = "down", matches: str | None = 'alertname="Down"', **changes: Any) -> Rule:
    base: dict[str, Any] = {
        "name": name,
        "file": "rules.yaml",
        "matchers": matchers(matches) if matches is not None else None,
        "playbook": "ops/repair",
        "run_per": ("ns",),
    }
    return Rule.model_validate({**base, **changes})


def firing(
    name: str = "Down",
    *,
    at: datetime = START,
    notes: Mapping[str, str] | None = None,
    **labels: str,
) -> Alert:
    all_labels = {"alertname": name, "ns": "a", **labels}
    return Alert(
        fingerprint=fingerprint(all_labels),
        status=AlertStatus.FIRING,
        labels=all_labels,
        annotations=dict(notes or {}),
        starts_at=at,
    )


def resolved(alert: Alert) -> Alert:
    return replace(alert, status=AlertStatus.RESOLVED, ends_at=alert.starts_at)


def delivery(*alerts: Alert, group_key: str = "{}", **changes: Any) -> Delivery:
    return Delivery(
        receiver="stanch",
        group_key=group_key,
        group_labels=changes.pop("group_labels", {"alertname": "Down"}),
        external_url="",
        alerts=alerts,
        **changes,
    )


def create_run(tx: Tx, request: RunRequest) -> str:
    """Store a run as the engine does, without a playbook behind it."""
    run_id = new_id("run")
    tx.runs.create(
        RunRow(
            id=run_id,
            playbook=request.playbook,
            program="none",
            rule=request.rule,
            incident_id=request.incident_id,
            state=RunState.QUEUED,
            mode=request.mode,
            priority=request.priority,
            inputs=request.inputs,
            trigger={**request.trigger, "alert": request.alert},
            requester=request.requester.name,
            created_at=tx.now(),
            ended_at=None,
            epoch=0,
            owner=None,
            reason="",
            group=request.group,
        )
    )
    tx.journal.append(run_id, [Entry("run.created", {"playbook": request.playbook})])
    return run_id


class Metrics:
    """A query port with answers by query text; what it was asked is kept."""

    def __init__(self, **answers: float | ActionFailed | None) -> None:
        self.answers: dict[str, float | ActionFailed | None] = dict(answers)
        self.asked: list[Query] = []

    def value(self, query: Query) -> float | None:
        self.asked.append(query)
        answer = self.answers[query.query]
        if isinstance(answer, ActionFailed):
            raise answer
        return answer


KEYS = Keys.generate()


def open_sqlite(path: Path, clock: Clock | None = None) -> Store:
    return open_store(f"sqlite:///{path}", keys=KEYS, clock=clock)


def fresh_database(folder: Path) -> Path:
    """A migrated database of its own below `folder`."""
    return put_database(folder / f"{new_id('db')}.db")


class Kit:
    """Everything that a test of triage touches."""

    def __init__(self, folder: Path, *rules: Rule, **settings: Any) -> None:
        self.clock = settings.pop("clock", None) or ManualClock(START)
        self.metrics = settings.pop("metrics", None) or Metrics()
        self.create = settings.pop("create", create_run)
        self.resolutions: list[tuple[str, str]] = []
        self.on_opened: OnOpened | None = None  # once set, `restart` lets triage tell it
        self.path = settings.pop("path", None) or fresh_database(folder)
        self.rules: Sequence[Rule] = rules
        self.settings = TriageSettings(**settings)
        self.store: Store = open_sqlite(self.path, clock=self.clock)
        self.triage = self._triage()

    def _triage(self) -> Triage:
        return Triage(
            self.store,
            self.rules,
            self.create,
            query=self.metrics,
            on_resolved=lambda _tx, run_id, how: self.resolutions.append((run_id, how)),
            on_opened=self.on_opened,
            settings=self.settings,
        )

    def restart(self) -> None:
        self.store.close()
        self.store = open_sqlite(self.path, clock=self.clock)
        self.triage = self._triage()

    def close(self) -> None:
        self.store.close()

    # ------------------------------------------------------------ what happens

    def accept(self, *alerts: Alert, **changes: Any) -> list[str]:
        """Deliver without deciding; return the alerts' ids."""
        given = delivery(*alerts, **changes)
        return [alert_id for alert_id, _ in self.store.write(lambda tx: tx.alerts.accept(given))]

    def post(self, *alerts: Alert, **changes: Any) -> list[str]:
        """Deliver and decide."""
        ids = self.accept(*alerts, **changes)
        self.triage.drain()
        return ids

    def later(self, seconds: float) -> int:
        self.clock.advance(seconds)
        return self.triage.drain()

    def end(self, run_id: str, state: RunState = RunState.SUCCEEDED, **more: Any) -> None:
        """End a run as its worker would."""

        def claim(tx: Tx) -> Mapping[str, RunRow]:
            tx.workers.beat("w", 3600.0)
            return {row.id: row for row in tx.runs.claim("w", 1000)}

        def work(tx: Tx) -> None:
            row = tx.runs.get(run_id)
            assert row is not None
            parked = state is RunState.NEEDS_HUMAN
            tx.runs.update(run_id, row.epoch, state=state, ended=not parked)
            run_ended(tx, replace(row, state=state), **more)

        self.store.write(claim)
        self.store.write(work)

    # ------------------------------------------------------------ what there is

    def runs(self) -> list[RunRow]:
        """Oldest first."""
        return list(reversed(self.store.read(lambda tx: tx.runs.list(ALL))))

    def decisions(self, alert_id: str | None = None) -> list[DecisionRow]:
        """Oldest first."""
        return list(reversed(self.store.read(lambda tx: tx.decisions.list(ALL, alert_id=alert_id))))

    def said(self, alert_id: str | None = None) -> list[tuple[str, str]]:
        """(verdict, code) of every decision, oldest first."""
        return [(row.verdict, row.reason.split(":")[0]) for row in self.decisions(alert_id)]

    def incidents(self) -> list[IncidentRow]:
        return list(reversed(self.store.read(lambda tx: tx.incidents.list(ALL))))

    def incident(self) -> IncidentRow:
        (only,) = self.incidents()
        return only

    def episode(self, name: str = "down", ns: str = "a") -> EpisodeRow | None:
        key = f'{{"ns":"{ns}"}}'
        return self.store.read(lambda tx: tx.episodes.find_open(name, key))

    def story(self, chain: str) -> list[str]:
        return [entry.kind for entry in self.store.read(lambda tx: tx.journal.read(chain))]

    def body(self, chain: str, kind: str) -> list[dict[str, Any]]:
        entries = self.store.read(lambda tx: tx.journal.read(chain))
        return [entry.body for entry in entries if entry.kind == kind]


def ago(seconds: float) -> datetime:
    return START - timedelta(seconds=seconds)
