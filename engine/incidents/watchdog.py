"""The dead man's switch: an alert that always fires. Where it stops arriving, alerts are being lost."""

from __future__ import annotations

from datetime import datetime, timedelta

from engine.domain.clock import format_time, spell
from engine.domain.entry import Entry
from engine.domain.ids import new_id
from engine.domain.incident import TRANSITIONS, IncidentState
from engine.incidents import lifecycle
from engine.incidents.calling import PAGED
from engine.incidents.ports import OnOpened
from engine.journal.rows import CRITICAL, EpisodeRow, IncidentRow
from engine.journal.store import Store, Tx

RULE = "stanch:watchdog"
_LOOKS = 20  # looks within `missing_after`


class Watchdog:
    """Raises Stanch's own alarm, once, when an alert of `alertname` has not come for `missing_after` seconds.

    The alarm is an incident; its episode is open while the alert is missing, so that nodes and restarts
    raise it once. It resolves by itself when the alert comes again.
    """

    def __init__(
        self,
        store: Store,
        alertname: str,
        missing_after: float,
        on_opened: OnOpened | None = None,
    ) -> None:
        self._store = store
        self._on_opened = on_opened
        self._name = alertname
        self._after = missing_after
        self._since: datetime | None = None  # before the first look nothing can have been missed
        self._next: datetime | None = None

    def tick(self, now: datetime) -> int:
        """Look, at most every twentieth of `missing_after`; return 1 where the alarm changed."""
        if self._since is None:
            self._since = now
        if self._next is not None and now < self._next:
            return 0
        self._next = now + timedelta(seconds=self._after / _LOOKS)
        last = self._store.read(lambda tx: tx.alerts.last_received(self._name))
        missing = now - max(last or self._since, self._since)
        if last is not None and last >= now - timedelta(seconds=self._after):
            return self._store.write(self._all_clear)
        if missing < timedelta(seconds=self._after):
            return 0
        return self._store.write(lambda tx: self._alarm(tx, last))

    def _alarm(self, tx: Tx, last: datetime | None) -> int:
        if tx.episodes.find_open(RULE, self._name) is not None:
            return 0
        seen = f"since {format_time(last)}" if last else "ever"
        title = f"{self._name} has not arrived {seen}: alerts may be lost"
        text = (
            f"no {self._name} for {spell(self._after)}; look at Prometheus, at Alertmanager and at "
            "the way from there to here"
        )
        incident = IncidentRow(
            id=new_id("inc"),
            title=title,
            rule=RULE,
            state=IncidentState.OPEN,
            severity="P1",
            opened_at=tx.now(),
            resolved_at=None,
            body={
                "key": {},
                "labels": {"alertname": self._name},
                "summary": text,
                PAGED: True,
            },
        )
        tx.incidents.open(incident)
        opened = {"rule": RULE, "alert": None, "severity": "P1", "title": title}
        told = {"text": text, "rule": RULE, "code": "watchdog"}
        entries = [Entry("incident.opened", opened), Entry("incident.note", told)]
        tx.journal.append(incident.id, entries)
        tx.episodes.open(RULE, self._name, run_id=None, incident_id=incident.id)
        # Whatever severities call people otherwise: alerts may be lost, and nobody would know.
        tx.pages.open(f"incident:{incident.id}", title, CRITICAL, incident_id=incident.id)
        if self._on_opened is not None:
            self._on_opened(tx, incident)
        return 1

    def _all_clear(self, tx: Tx) -> int:
        episode: EpisodeRow | None = tx.episodes.find_open(RULE, self._name)
        if episode is None:
            return 0
        tx.episodes.close(episode.id)
        incident = tx.incidents.get(episode.incident_id or "")
        if incident is not None and IncidentState.RESOLVED in TRANSITIONS[incident.state]:
            reason = f"{self._name} arrives again"
            lifecycle.move(tx, incident, IncidentState.RESOLVED, reason)
        return 1
