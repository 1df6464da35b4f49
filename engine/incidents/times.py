"""How long it took: to detect, to acknowledge, to mitigate, to recover; computed from the journal alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.domain.entry import StoredEntry

_SEEN = frozenset({"acknowledged"})
_BETTER = frozenset({"mitigated", "verified"})
_OVER = frozenset({"resolved", "closed"})


@dataclass(frozen=True)
class Times:
    """When it began, and when each thing first happened; None: it has not.

    Attributes:
        began: the start of the earliest alert, by its sender's clock.
        opened: when the incident was opened.
        recovered: the last time that it was over, None while it is open again.
        reopened: how often it came again.
    """

    began: datetime | None
    opened: datetime
    acknowledged: datetime | None = None
    mitigated: datetime | None = None
    recovered: datetime | None = None
    reopened: int = 0

    def as_json(self) -> JsonObject:
        """Times, and seconds: to detect from the beginning, all others from the opening."""
        moments = {
            "began": self.began,
            "opened": self.opened,
            "acknowledged": self.acknowledged,
            "mitigated": self.mitigated,
            "recovered": self.recovered,
        }
        spans = {
            "detect": _between(self.began, self.opened),
            "acknowledge": _between(self.opened, self.acknowledged),
            "mitigate": _between(self.opened, self.mitigated),
            "recover": _between(self.opened, self.recovered),
        }
        return {
            **{name: format_time(at) if at else None for name, at in moments.items()},
            "seconds": spans,
            "reopened": self.reopened,
        }


def _between(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    return round((end - start).total_seconds(), 3)


def times_of(opened: datetime, alerts: Sequence[datetime], entries: Sequence[StoredEntry]) -> Times:
    """Compute the times of an incident.

    Parameters:
        alerts: when each of its alerts began. entries: the incident's own chain.
    """
    acknowledged = mitigated = recovered = None
    reopened = 0
    for entry in entries:
        if entry.kind == "page.seen" and entry.body.get("via") != "engine":
            acknowledged = acknowledged or entry.at
        if entry.kind != "incident.state":
            continue
        to, was = entry.body.get("to"), entry.body.get("from")
        if to in _SEEN:
            acknowledged = acknowledged or entry.at
        if to in _BETTER | _OVER:
            mitigated = mitigated or entry.at
        if to in _OVER and was not in _OVER:
            recovered = entry.at
        if was in _OVER and to not in _OVER:
            recovered = None
            reopened += 1
    began = min(alerts, default=None)
    return Times(began, opened, acknowledged, mitigated, recovered, reopened)
