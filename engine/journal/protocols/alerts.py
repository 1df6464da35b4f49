"""What triage asks of a transaction: alerts, decisions, windows, episodes, incidents, schedules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import Protocol

from engine.domain.alert import Alert, Delivery
from engine.journal.rows import AlertRow, DecisionRow, DeliveryRow, EpisodeRow, IncidentRow, Page


class Alerts(Protocol):
    def accept(self, delivery: Delivery) -> Sequence[tuple[str, bool]]:
        """Store a delivery. Per alert: (alert id, whether it is new by (fingerprint, startsAt, status))."""
        ...

    def undecided(self, limit: int) -> Sequence[AlertRow]:
        """Oldest first; on PostgreSQL locks the rows and skips those another node holds."""
        ...

    def ahead(self, after: int, limit: int) -> tuple[Sequence[AlertRow], int]:
        """Undecided alerts beyond a place in the order of arrival, none locked, and the place then reached."""
        ...

    def claim(self, ids: Iterable[str]) -> Set[str]:
        """Those of `ids` that are still undecided; on PostgreSQL locked, those another node holds skipped."""
        ...

    def hold(self, alerts: Iterable[Alert]) -> None:
        """Let no other node decide these alerts, firing or resolved, until the transaction ends.

        Without it a `resolved` could be decided elsewhere just before its firing alert joins an episode,
        and the episode would never close. SQLite has one writer and needs nothing.
        """
        ...

    def mark_decided(self, ids: Iterable[str]) -> None: ...

    def get(self, alert_id: str) -> AlertRow | None: ...

    def list(
        self, page: Page, *, labels: Mapping[str, str] | None = None
    ) -> Sequence[AlertRow]: ...

    def is_resolved(self, fingerprint: str, starts_at: datetime) -> bool:
        """Whether a `resolved` for this firing alert has been accepted."""
        ...

    def last_received(self, name: str) -> datetime | None:
        """When an alert of this alertname last came (Watchdog)."""
        ...

    def deliveries(self, page: Page) -> Sequence[DeliveryRow]:
        """Deliveries with truncated, over-limit or unreadable alerts."""
        ...


class Decisions(Protocol):
    def add(self, row: DecisionRow) -> None: ...

    def list(
        self,
        page: Page,
        *,
        alert_id: str | None = None,
        rule: str | None = None,
        run_id: str | None = None,
        incident_id: str | None = None,
    ) -> Sequence[DecisionRow]: ...

    def postpone(
        self, alert_id: str, rule: str, due: datetime, *, group: str | None = None
    ) -> None:
        """Ask again at `due` (`firing_for`), or when `release` names its concurrency `group`."""
        ...

    def release(self, group: str) -> int:
        """Make the postponed pairs of a concurrency group due now; return how many there were."""
        ...

    def due(self, limit: int) -> Sequence[tuple[str, str]]:
        """(alert id, rule) pairs whose time has come."""
        ...

    def next_due(self) -> datetime | None: ...

    def done(self, alert_id: str, rule: str) -> bool:
        """Forget a postponed pair; False where there was none (another node decided it)."""
        ...


class Windows(Protocol):
    """Durable windows: `count` and `throttle`."""

    def add(self, rule: str, key: str, member: str, at: datetime) -> None:
        """Record one member (an alert's fingerprint and startsAt); the same member counts once."""
        ...

    def count(self, rule: str, key: str, since: datetime) -> int: ...

    def clear(self, rule: str, key: str) -> None:
        """Forget the members of a window."""
        ...

    def last_run(self, rule: str, key: str) -> datetime | None: ...

    def set_last_run(self, rule: str, key: str, at: datetime) -> None: ...


class Episodes(Protocol):
    def find_open(self, rule: str, key: str) -> EpisodeRow | None:
        """On PostgreSQL locks the row."""
        ...

    def open(
        self, rule: str, key: str, *, run_id: str | None, incident_id: str | None
    ) -> EpisodeRow:
        """Open one; a unique index lets one of two racing nodes win, the other's work is run again."""
        ...

    def set_run(self, episode_id: str, run_id: str) -> None: ...

    def join(self, episode_id: str, fingerprint: str, starts_at: datetime) -> None:
        """Add a firing alert to it (once)."""
        ...

    def resolve(self, fingerprint: str, starts_at: datetime) -> Sequence[EpisodeRow]:
        """Mark the alert resolved in its open episodes; return those episodes."""
        ...

    def firing(self, episode_id: str) -> int:
        """How many of its alerts still fire."""
        ...

    def close(self, episode_id: str) -> None: ...

    def of_run(self, run_id: str) -> EpisodeRow | None: ...

    def open_of(self, incident_id: str) -> Sequence[EpisodeRow]:
        """The episodes of an incident that are still open."""
        ...


class Incidents(Protocol):
    def open(self, row: IncidentRow) -> None: ...

    def get(self, incident_id: str) -> IncidentRow | None: ...

    def hold(self, incident_id: str) -> IncidentRow | None:
        """As `get`, before a change; on PostgreSQL the row is locked, so that nobody changes it meanwhile."""
        ...

    def update(self, incident_id: str, **changes: object) -> None: ...

    def add_alert(self, incident_id: str, alert_id: str) -> None: ...

    def alerts(self, incident_id: str) -> Sequence[AlertRow]: ...

    def merge(self, source: str, into: str) -> None:
        """Give the alerts, the open episodes and the runs of one incident to another."""
        ...

    def list(self, page: Page, *, open_only: bool = False) -> Sequence[IncidentRow]: ...


class Schedules(Protocol):
    def fire(self, schedule: str, at: datetime) -> bool:
        """Insert the unique (schedule, fire time) row; False where another node did."""
        ...

    def last(self, schedule: str) -> datetime | None: ...
