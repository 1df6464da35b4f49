"""An incident: the story of related alerts from the first alert to the postmortem."""

from __future__ import annotations

import enum


class IncidentState(enum.StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    MITIGATED = "mitigated"
    VERIFIED = "verified"
    RESOLVED = "resolved"
    CLOSED = "closed"


PRIORITIES: dict[str, int] = {"P0": 9, "P1": 7, "P2": 5}
MAINTENANCE_PRIORITY = 1
