"""A run: its states and the one table of transitions between them (DESIGN 7)."""

from __future__ import annotations

import enum

from engine.domain.errors import StanchError


class RunState(enum.StrEnum):
    QUEUED = "queued"
    PLANNING = "planning"
    PLANNED = "planned"  # a dry run's end
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNING = "running"
    WAITING = "waiting"
    HELD = "held"  # kill switch, budget, drift, taken over
    VERIFYING = "verifying"
    UNDOING = "undoing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNDONE = "undone"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    NEEDS_HUMAN = "needs_human"


class RunMode(enum.StrEnum):
    AUTO = "auto"
    APPROVE = "approve"
    DRY_RUN = "dry_run"


S = RunState
ENDS = frozenset(
    {S.PLANNED, S.SUCCEEDED, S.FAILED, S.UNDONE, S.CANCELLED, S.EXPIRED, S.NEEDS_HUMAN}
)
_ENDINGS = frozenset({S.SUCCEEDED, S.FAILED, S.UNDONE, S.CANCELLED, S.EXPIRED, S.NEEDS_HUMAN})
_ACTIVE = frozenset({S.RUNNING, S.WAITING, S.AWAITING_APPROVAL, S.HELD, S.VERIFYING, S.UNDOING})

TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    S.QUEUED: frozenset({S.PLANNING, S.HELD, S.CANCELLED, S.EXPIRED}),
    S.PLANNING: frozenset(
        {S.PLANNED, S.AWAITING_APPROVAL, S.RUNNING, S.HELD, S.FAILED, S.CANCELLED, S.NEEDS_HUMAN}
    ),
    S.PLANNED: frozenset(),
    S.AWAITING_APPROVAL: (_ACTIVE | _ENDINGS) - {S.AWAITING_APPROVAL},
    S.RUNNING: (_ACTIVE | _ENDINGS) - {S.RUNNING},
    S.WAITING: (_ACTIVE | _ENDINGS) - {S.WAITING},
    S.HELD: (_ACTIVE | _ENDINGS | {S.QUEUED, S.PLANNING}) - {S.HELD},
    S.VERIFYING: (_ACTIVE | _ENDINGS) - {S.VERIFYING},
    S.UNDOING: (_ACTIVE | _ENDINGS) - {S.UNDOING},
    S.SUCCEEDED: frozenset(),
    S.FAILED: frozenset({S.RUNNING}),  # a person's retry
    S.UNDONE: frozenset(),
    S.CANCELLED: frozenset(),
    S.EXPIRED: frozenset(),
    S.NEEDS_HUMAN: frozenset({S.RUNNING, S.UNDOING, S.CANCELLED, S.FAILED, S.SUCCEEDED}),
}


class ForbiddenTransition(StanchError):
    """The engine tried to move a run along an edge that the table does not have."""


def advance(current: RunState, to: RunState) -> RunState:
    """Return `to` where the table allows it.

    Raises:
        ForbiddenTransition: there is no such edge.
    """
    if to not in TRANSITIONS[current]:
        raise ForbiddenTransition(f"a run cannot go from {current.value} to {to.value}")
    return to
