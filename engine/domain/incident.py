"""An incident: the story of related alerts from the first alert to the postmortem.

A pure state machine: one table says which moves there are, one function makes them.
"""

from __future__ import annotations

import enum

from engine.domain.errors import InvalidInput, StanchError


class IncidentState(enum.StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    MITIGATED = "mitigated"  # something repaired it; no query has proved that yet
    VERIFIED = "verified"  # a query proved it; alerts may still fire
    RESOLVED = "resolved"
    CLOSED = "closed"
    REOPENED = "reopened"  # it was over, and came again


S = IncidentState

TRANSITIONS: dict[IncidentState, frozenset[IncidentState]] = {
    S.OPEN: frozenset({S.ACKNOWLEDGED, S.MITIGATED, S.VERIFIED, S.RESOLVED, S.CLOSED}),
    S.ACKNOWLEDGED: frozenset({S.OPEN, S.MITIGATED, S.VERIFIED, S.RESOLVED, S.CLOSED}),
    S.MITIGATED: frozenset({S.OPEN, S.VERIFIED, S.RESOLVED, S.CLOSED}),
    S.VERIFIED: frozenset({S.OPEN, S.RESOLVED, S.CLOSED}),
    S.RESOLVED: frozenset({S.REOPENED, S.CLOSED}),
    S.CLOSED: frozenset({S.REOPENED}),
    S.REOPENED: frozenset({S.ACKNOWLEDGED, S.MITIGATED, S.VERIFIED, S.RESOLVED, S.CLOSED}),
}

OVER = frozenset({S.RESOLVED, S.CLOSED})
UNSEEN = frozenset({S.OPEN, S.REOPENED})  # nobody has said that they look


class ForbiddenMove(StanchError):
    """The table has no such edge."""


def advance(current: IncidentState, to: IncidentState) -> IncidentState:
    """Return `to` where the table allows it.

    Raises:
        ForbiddenMove: there is no such edge.
    """
    if to not in TRANSITIONS[current]:
        raise ForbiddenMove(f"an incident cannot go from {current.value} to {to.value}")
    return to


def after_success(current: IncidentState, *, verified: bool) -> IncidentState:
    """Return the state after a run that succeeded. Better than mitigated is kept."""
    to = S.VERIFIED if verified else S.MITIGATED
    return to if to in TRANSITIONS[current] and current not in OVER else current


def after_relapse(current: IncidentState) -> IncidentState:
    """Return the state once an alert of it fires again."""
    if current in OVER:
        return S.REOPENED
    return S.OPEN if current in {S.MITIGATED, S.VERIFIED} else current


PRIORITIES: dict[str, int] = {"P0": 9, "P1": 7, "P2": 5}
MAINTENANCE_PRIORITY = 1


def severity(text: str) -> str:
    """Return a severity as it is written everywhere.

    Raises:
        InvalidInput: it is none of P0, P1, P2.
    """
    name = text.strip().upper()
    if name not in PRIORITIES:
        raise InvalidInput(f"{text!r} is no severity; there are: {', '.join(PRIORITIES)}")
    return name


ROLES = ("commander", "communications", "scribe", "operations")


def role(text: str) -> str:
    """Return a role in an incident.

    Raises:
        InvalidInput: there is no such role.
    """
    name = text.strip().lower()
    if name not in ROLES:
        raise InvalidInput(
            f"{text!r} is no role in an incident; there are: {', '.join(ROLES)}; write for example "
            "commander=alice"
        )
    return name


class Level(enum.StrEnum):
    """How loudly people are called. Higher ones call sooner."""

    WARNING = "warning"
    CRITICAL = "critical"
    EMERGENCY = "emergency"

    @property
    def rank(self) -> int:
        return list(Level).index(self)


def level(text: str) -> Level:
    """Raises InvalidInput where `text` is none of warning, critical, emergency."""
    try:
        return Level(text.strip().lower())
    except ValueError:
        names = ", ".join(Level)
        raise InvalidInput(f"{text!r} is no level of escalation; there are: {names}") from None
