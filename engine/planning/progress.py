"""How far a run has come: the state that its journal entries fold into."""

from __future__ import annotations

import enum
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from engine.domain.canonical import Json, JsonObject
from engine.domain.errors import Category
from engine.domain.run import RunState


class StepStatus(enum.StrEnum):
    """Where one step instance stands. The first four are open, the others are ends."""

    RUNNING = "running"  # an intent or an opened container without its outcome
    RETRYING = "retrying"
    WAITING = "waiting"  # a wait, a gate, a manual task, a verification under way
    APPLIED = "applied"  # the effect is there; confirmation or verification is under way
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNDONE = "undone"
    UNKNOWN = "unknown"  # a planned step whose flow is known only after apply


OPEN = frozenset({StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.WAITING, StepStatus.APPLIED})


@dataclass
class StepState:
    """One step instance, by address.

    Attributes:
        known: False while planning, for what is known only after apply.
        in_doubt: an intent was journalled and its outcome was not: the effect may have happened.
        data: what its kind needs: items of a foreach, inputs of a call, a wait's limits.
        first: number of the entry that began it.
    """

    address: str
    status: StepStatus
    known: bool = True
    output: Json = None
    changed: bool = False
    attempt: int = 0
    attempts_from: int = 0
    key: str = ""
    planned: JsonObject | None = None
    receipt: JsonObject | None = None
    image: str | None = None
    in_doubt: bool = False
    category: Category | None = None
    message: str = ""
    retry_at: datetime | None = None
    started_at: datetime | None = None
    data: JsonObject = field(default_factory=dict)
    first: int = 0

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


@dataclass
class ChangeState:
    """One applied change, in the order of receipts: what undo and restore work from."""

    address: str
    key: str
    planned: JsonObject
    receipt: JsonObject
    image: str | None
    undone: bool = False
    undoing: bool = False  # an undo's intent without its outcome
    undo_attempt: int = 0
    undo_failed: str = ""
    conflict: bool = False


@dataclass
class GateState:
    """One gate as the journal tells it.

    Attributes:
        votes: actor to decision, withdrawn ones left out.
        within: seconds that it stays open, and again where the next role is asked.
        broken_by: who broke the glass: they approved alone.
        choice: who chose among the items that it shows; it is asked again with what is left.
    """

    gate: str
    address: str
    fingerprint: str
    approvals: int
    role: str
    state: str = "open"
    expires_at: datetime | None = None
    votes: dict[str, str] = field(default_factory=dict)
    comments: list[JsonObject] = field(default_factory=list)
    within: float = 3600.0
    on_timeout: str = "abort"
    reason: str = ""
    broken_by: str | None = None
    choice: JsonObject | None = None

    @property
    def quorum(self) -> bool:
        approved = sum(decision == "approve" for decision in self.votes.values())
        return self.broken_by is not None or approved >= self.approvals

    @property
    def rejected_by(self) -> str | None:
        return next((who for who, decision in self.votes.items() if decision == "reject"), None)


@dataclass(frozen=True)
class Failure:
    """The failure that ended the normal course."""

    step: str
    category: Category
    message: str
    policy: str = "stop"

    def as_json(self) -> JsonObject:
        return {"step": self.step, "category": self.category.value, "message": self.message}


@dataclass
class RunProgress:
    """The whole fold. `n` is the number of the last entry folded."""

    n: int = 0
    state: RunState = RunState.QUEUED
    steps: dict[str, StepState] = field(default_factory=dict)
    changes: list[ChangeState] = field(default_factory=list)
    gates: dict[str, GateState] = field(default_factory=dict)
    fingerprint: str | None = None  # of the plan in force
    approved: str | None = None  # fingerprint that people approved
    started_at: datetime | None = None
    cancel: str | None = None
    hold: str | None = None  # why a person or a brake holds the run
    hold_kind: str = ""  # person | brake | budget | window | fresh
    taken_by: str | None = None  # a person acts in the run's place
    handed_back: str | None = None  # their note: the plan must be made anew
    stepping: str | None = None  # who asked for one step
    way: JsonObject | None = None  # an urgent run is to have this one's locks
    waited: bool = False  # for a lock, before its first intent: the world may be another by now
    seen_until: datetime | None = None  # a person has seen what others changed up to then
    cooldown: float = 0.0  # seconds, of the run's rule
    rejected: dict[str, dict[str, str]] = field(default_factory=dict)  # step, item's key: why
    stuck: str | None = None  # needs_human: what a person must decide
    reask: str | None = None  # the world drifted: the plan must be asked about again
    undoing: set[str] = field(default_factory=set)  # keys of undos begun and not known to be over
    undo_done: bool = False
    temporary_undone: bool = False
    ended: RunState | None = None
    verified: bool = False  # what the last query that judged said
    cursor: dict[str, int] = field(default_factory=dict)  # finished prefix of a foreach

    @property
    def interrupted(self) -> bool:
        """Whether something must be seen to before the next step."""
        waits = (self.way, self.stuck, self.hold, self.handed_back, self.reask)
        return any(one is not None for one in waits)

    def copy(self) -> RunProgress:
        """Return a copy that a plan may play on. JSON inside is shared: the fold replaces, it never mutates."""
        twin = copy(self)
        twin.steps = {address: copy(state) for address, state in self.steps.items()}
        twin.changes = [copy(change) for change in self.changes]
        twin.gates = {
            address: replace(gate, votes=dict(gate.votes), comments=list(gate.comments))
            for address, gate in self.gates.items()
        }
        twin.undoing = set(self.undoing)
        twin.cursor = dict(self.cursor)
        return twin

    def change(self, address: str) -> ChangeState | None:
        """The newest change of a step instance that is not undone."""
        for change in reversed(self.changes):
            if change.address == address and not change.undone:
                return change
        return None

    def set(self, address: str, status: StepStatus, **values: Any) -> StepState:
        """Make or change the state at an address."""
        state = self.steps.get(address)
        if state is None:
            state = self.steps[address] = StepState(address, status, first=self.n)
        state.status = status
        for name, value in values.items():
            setattr(state, name, value)
        return state


# What one entry (its body, when it was written) does to the progress.
Fold = Callable[[RunProgress, JsonObject, datetime], None]
