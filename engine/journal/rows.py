"""The rows of the store as the engine sees them. JSON columns hold JSON data only; times are aware UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from engine.domain.alert import Alert
from engine.domain.canonical import JsonObject
from engine.domain.clock import parse_time
from engine.domain.incident import IncidentState
from engine.domain.run import RunMode, RunState


@dataclass(frozen=True)
class AlertRow:
    id: str
    alert: Alert
    receiver: str
    group_key: str
    group_labels: Mapping[str, str]
    received_at: datetime
    decided: bool
    deliveries: int  # how often this very (fingerprint, startsAt, status) came


@dataclass(frozen=True)
class DeliveryRow:
    """A delivery with something to show: alerts cut, over the limit, or unreadable."""

    id: str
    received_at: datetime
    receiver: str
    group_key: str
    truncated: int
    over_limit: int
    unreadable: tuple[JsonObject, ...]


@dataclass(frozen=True)
class DecisionRow:
    """What a rule decided about an alert (or a schedule's fire), and why."""

    id: str
    alert_id: str | None
    rule: str
    verdict: str  # run | join | skip | wait | ask | note
    reason: str
    at: datetime
    run_id: str | None = None
    incident_id: str | None = None


@dataclass(frozen=True)
class EpisodeRow:
    """One open or closed stretch of a rule and its `run_per` labels."""

    id: str
    rule: str
    key: str
    opened_at: datetime
    closed_at: datetime | None
    run_id: str | None
    incident_id: str | None


@dataclass(frozen=True)
class IncidentRow:
    id: str
    title: str
    rule: str
    state: IncidentState
    severity: str  # P0 | P1 | P2
    opened_at: datetime
    resolved_at: datetime | None
    body: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class RunRow:
    id: str
    playbook: str
    program: str  # digest of the frozen program text
    rule: str | None
    incident_id: str | None
    state: RunState
    mode: RunMode
    priority: int
    inputs: JsonObject
    trigger: JsonObject  # {kind, labels, annotations, at, value}; alert under "alert"
    requester: str
    created_at: datetime
    ended_at: datetime | None
    epoch: int
    owner: str | None
    reason: str  # of the present state
    group: str | None = None  # concurrency group
    parent: str | None = None  # the run that this one undoes or retries


@dataclass(frozen=True)
class GateRow:
    id: str
    run_id: str
    address: str  # the gate step's address, or "plan"
    role: str
    approvals: int
    fingerprint: str
    state: str  # open | approved | rejected | expired | escalated | void | withdrawn
    opened_at: datetime
    expires_at: datetime | None
    body: JsonObject  # what people see: summary, plan id, on_timeout, excluded names
    closed_at: datetime | None = None
    closed_by: str = ""
    closed_why: str = ""


@dataclass(frozen=True)
class VoteRow:
    gate_id: str
    actor: str
    via: str
    decision: str  # approve | reject
    comment: str
    at: datetime


@dataclass(frozen=True)
class BrakeRow:
    name: str  # "kill", "breaker:PLAYBOOK", …
    engaged: bool
    by: str
    reason: str
    at: datetime
    body: JsonObject = field(default_factory=dict)

    def in_force(self, now: datetime) -> bool:
        """Whether it holds anything now: a cooldown ends with its time, although nobody ends it."""
        until = self.body.get("until")
        return self.engaged and (not until or parse_time(str(until)) > now)


@dataclass(frozen=True)
class Page:
    """Which rows to list: newest first, `limit` of them, older than the id `before`."""

    limit: int = 100
    before: str | None = None


WARNING, CRITICAL, EMERGENCY = "warning", "critical", "emergency"


@dataclass(frozen=True)
class PageRow:
    """Somebody must see something. Told again and again until a person has acknowledged it.

    Attributes:
        subject: what it is about, `run:ID` for instance; at most one page of a subject is open.
        level: `warning`, `critical` or `emergency`.
        next_at: when it is told (again).
        told: how often it has been told.
    """

    id: str
    subject: str
    level: str
    reason: str
    run_id: str | None
    incident_id: str | None
    raised_at: datetime
    next_at: datetime
    told: int = 0
    acked_at: datetime | None = None
    acked_by: str = ""
    note: str = ""


@dataclass(frozen=True)
class DelegationRow:
    """A holder of a role lends it to another person until a time."""

    id: str
    role: str
    giver: str
    taker: str
    reason: str
    at: datetime
    until: datetime
    revoked_at: datetime | None = None
    revoked_by: str = ""


@dataclass(frozen=True)
class MeasureRow:
    """What was measured when a run or a step began or ended.

    Attributes:
        event: `run.began`, `run.ended`, or of a step `began`, `ended`. A read has no `began`.
        stage: the step's action, or its kind where it has none.
        started_at: of what ended.
        cpu: seconds that this process worked at it. memory: bytes that the process held at most meanwhile.
        message: of a failure.
        at: set by the store, by its clock.
    """

    event: str
    run_id: str
    address: str = ""
    stage: str = ""
    state: str | None = None
    category: str | None = None
    started_at: datetime | None = None
    attempts: int = 1
    cpu: float = 0.0
    memory: int | None = None
    message: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class ItemRow:
    """Who did an item, and when; not `done`: who is at it just now, and since when."""

    run_id: str
    at: datetime
    done: bool
