"""Who may decide at a gate (DESIGN 8). Pure: every refusal comes with its reason."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from engine.domain.errors import Refused


@dataclass(frozen=True)
class Standing:
    """In what right a person decides.

    Attributes:
        lacking: why they may not; None: they may.
        giver: who lent them the role; None: it is their own.
    """

    name: str
    lacking: str | None = None
    giver: str | None = None


class Gate(Protocol):
    """What is asked of a gate: the journal's row has it."""

    @property
    def role(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def closed_at(self) -> datetime | None: ...
    @property
    def closed_by(self) -> str: ...
    @property
    def closed_why(self) -> str: ...


def check_open(gate: Gate, now: datetime) -> None:
    """Raises Refused where the gate takes no votes any more; says when, by whom and why it closed."""
    if gate.state != "open":
        when = f" at {gate.closed_at:%Y-%m-%d %H:%M:%S} UTC" if gate.closed_at else ""
        who = f" by {gate.closed_by}" if gate.closed_by else ""
        why = f": {gate.closed_why}" if gate.closed_why else ""
        raise Refused(f"the gate is closed: {gate.state}{when}{who}{why}")
    if gate.expires_at is not None and now >= gate.expires_at:
        raise Refused(f"the gate's time was over at {gate.expires_at:%Y-%m-%d %H:%M:%S} UTC")


def check_seen(gate: Gate, seen: str | None) -> None:
    """Raises Refused where the gate shows another plan than the person saw (its fingerprint, or its beginning)."""
    if seen is not None and (len(seen) < 6 or not gate.fingerprint.startswith(seen)):
        raise Refused(
            f"the plan has changed: you saw {seen[:12]}, it is {gate.fingerprint[:12]} now; look again, then decide"
        )


def check_vote(
    standing: Standing,
    gate: Gate,
    *,
    excluded: Collection[str],
    now: datetime,
    seen: str | None,
) -> None:
    """Let a vote through, or say why not.

    Args:
        excluded: names that may not decide: the run's requester and the playbook's author.
        seen: the fingerprint that the person looked at, whole or its beginning; None: not said.

    Raises:
        Refused: the gate is closed or over, the role is missing, the person is excluded, or the plan
            is another one than the person saw.
    """
    check_open(gate, now)
    if standing.lacking is not None:
        raise Refused(standing.lacking, missing_role=gate.role)
    if standing.name in excluded:
        raise Refused(
            f"{standing.name} asked for this run or wrote its playbook; another person must decide"
        )
    if standing.giver in excluded:
        raise Refused(
            f"{standing.giver}, whose role {standing.name} holds, asked for this run or wrote its "
            "playbook; another person must decide"
        )
    check_seen(gate, seen)
