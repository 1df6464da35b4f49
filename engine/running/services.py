"""What the rooms of `running` share: store, clock, registry, connections, planner, limits, hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from engine.contract.ports import NO_PORTS, Ports
from engine.contract.registry import Registry
from engine.domain.clock import Clock
from engine.domain.entry import Entry
from engine.domain.run import RunState
from engine.journal.rows import RunRow
from engine.journal.store import Store, Tx
from engine.language.program import Program
from engine.planning.brakes import BrakeRules, Limit
from engine.planning.planner import Planner
from engine.running.world import Connections


class RunEnded(Protocol):
    """Told, in the transaction that ends or parks a run, what it came to."""

    def __call__(
        self, tx: Tx, row: RunRow, state: RunState, reason: str, /, *, verified: bool
    ) -> None: ...


def _unheard(tx: Tx, row: RunRow, state: RunState, reason: str, /, *, verified: bool) -> None:
    del tx, row, state, reason, verified


@dataclass(frozen=True)
class Moment:
    """A call outside is about to be made, or an effect was just made.

    Attributes:
        phase: `read`, `plan` (of a change, before its intent), `before` or `after` an effect, `undo` or
            `undone` around the taking back of one.
        attempt: from 1.
    """

    phase: Literal["read", "plan", "before", "after", "undo", "undone"]
    run: str
    address: str
    attempt: int


# Told what a commit of this process added to a run's chain, and when; quick, for metrics.
Observe = Callable[[Program, RunRow, Sequence[Entry], datetime], None]


@dataclass(frozen=True)
class ApprovalRule:
    """The gate that `mode: approve` puts before the first change, and what holds for all gates.

    Attributes:
        escalation: roles in the order in which they are asked when a gate that escalates runs out.
        break_glass: the role that may approve alone; None: nobody may.
    """

    role: str = "sre"
    approvals: int = 1
    within: float = 4 * 3600.0
    on_timeout: str = "abort"
    escalation: tuple[str, ...] = ()
    break_glass: str | None = None

    def next_role(self, role: str) -> str | None:
        """Return who is asked after `role`, or None where nobody is left."""
        if role not in self.escalation:
            return self.escalation[0] if self.escalation else None
        rest = self.escalation[self.escalation.index(role) + 1 :]
        return rest[0] if rest else None


@dataclass(frozen=True)
class Retention:
    """For how many seconds is kept what stands beside the journal; None: for ever."""

    images: float | None = None
    artifacts: float | None = None


def _as_they_are(name: str) -> str:
    return name


@dataclass
class Services:
    """Shared parts; one an application."""

    store: Store
    clock: Clock
    registry: Registry
    connections: Connections
    planner: Planner
    approval: ApprovalRule = ApprovalRule()
    budgets: Mapping[str, Limit] = field(default_factory=dict)
    node: str = "local"  # names the chain of what belongs to no run
    brakes: BrakeRules = field(default_factory=BrakeRules)
    retention: Retention = Retention()
    person: Callable[[str], str] = _as_they_are  # the person behind an author's or requester's name
    on_end: RunEnded = _unheard
    stopping: Callable[[], bool] = field(default=lambda: False)
    observe: Observe = field(default=lambda _program, _row, _entries, _at: None)
    # What the actions of a run may ask of Stanch itself.
    ports: Callable[[RunRow], Ports] = field(default=lambda _row: NO_PORTS)
    # Called around every call outside; what it raises is the call's own failure. Fault tests end the
    # process here, rehearsals put their faults in.
    on_moment: Callable[[Moment], None] = field(default=lambda _moment: None)
