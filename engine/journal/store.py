"""The one interface to everything durable. SQLite and PostgreSQL implement it with the same statements.

A unit of work is a function of a `Tx`: `store.write(work)` runs it in the writer's transaction, many at
once in one commit (group commit); one that raises is rolled back alone. Work may be run again (after a
lost connection or a failed group), so it has no effects of its own. What `write` returned is durable.

Times are aware UTC datetimes; `tx.now()` is the database's clock. JSON columns hold JSON data only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from engine.domain.alert import Alert, Delivery
from engine.domain.canonical import Json, JsonObject
from engine.domain.entry import Entry, StoredEntry
from engine.domain.incident import IncidentState
from engine.domain.plan import Target
from engine.domain.run import RunMode, RunState

T = TypeVar("T")


# ---------------------------------------------------------------- rows


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
    state: str  # open | approved | rejected | expired | void | withdrawn
    opened_at: datetime
    expires_at: datetime | None
    body: JsonObject  # what people see: summary, plan id, on_timeout, excluded names
    closed_at: datetime | None = None


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


@dataclass(frozen=True)
class Page:
    """Which rows to list: newest first, `limit` of them, older than the id `before`."""

    limit: int = 100
    before: str | None = None


# ---------------------------------------------------------------- the repositories of one transaction


class Alerts(Protocol):
    def accept(self, delivery: Delivery) -> Sequence[tuple[str, bool]]:
        """Store a delivery. Per alert: (alert id, whether it is new by (fingerprint, startsAt, status))."""
        ...

    def undecided(self, limit: int) -> Sequence[AlertRow]:
        """Oldest first; on PostgreSQL locks the rows and skips those another node holds."""
        ...

    def claim(self, ids: Iterable[str]) -> Sequence[AlertRow]:
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

    def update(self, incident_id: str, **changes: object) -> None: ...

    def add_alert(self, incident_id: str, alert_id: str) -> None: ...

    def alerts(self, incident_id: str) -> Sequence[AlertRow]: ...

    def list(self, page: Page, *, open_only: bool = False) -> Sequence[IncidentRow]: ...


class Runs(Protocol):
    def create(self, row: RunRow) -> None:
        """Store a new run, state queued, ready to be claimed."""
        ...

    def get(self, run_id: str) -> RunRow | None: ...

    def find(self, text: str) -> Sequence[RunRow]:
        """Runs whose id begins or ends with `text` (at most 10)."""
        ...

    def list(
        self,
        page: Page,
        *,
        states: Iterable[RunState] | None = None,
        incident_id: str | None = None,
        playbook: str | None = None,
    ) -> Sequence[RunRow]: ...

    def active_in_group(self, group: str) -> Sequence[RunRow]:
        """Runs of a concurrency group that have not ended."""
        ...

    def claim(self, worker: str, limit: int) -> Sequence[RunRow]:
        """Become the owner of up to `limit` ready runs: highest priority first, then oldest. Raises the
        epoch of each. The only way to become an owner. A worker that was declared dead gets none; one
        that never beat gets a first lease of 5 s."""
        ...

    def update(
        self,
        run_id: str,
        epoch: int,
        *,
        state: RunState | None = None,
        reason: str | None = None,
        ended: bool = False,
    ) -> None:
        """Raises StaleOwner where (run, epoch) is not the present owner's."""
        ...

    def release(self, run_id: str, epoch: int, *, ready: bool = False) -> None:
        """Let go of a parked or ended run. A signal that came since (`wake`) keeps it ready."""
        ...

    def wake(self, run_id: str) -> None:
        """Make a parked run ready (an approval, a cancel, a timer). Also for one that is owned now: it
        is then ready again once released."""
        ...

    def counts(self) -> Mapping[RunState, int]: ...


class Journal(Protocol):
    def append(self, chain: str, entries: Sequence[Entry], *, epoch: int | None = None) -> int:
        """Append to a chain (a run id, an incident id, `node:ID`), return the number of its last entry.

        With `epoch` the chain is a run and the write is made only by its owner.

        Raises:
            StaleOwner: another owner has the run; nothing was written.
        """
        ...

    def read(
        self, chain: str, *, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredEntry]: ...

    def heads(self) -> Mapping[str, tuple[int, str]]:
        """Every chain's last number and hash."""
        ...


class Timers(Protocol):
    def set(self, run_id: str, name: str, at: datetime) -> None:
        """One row a (run, name); setting it again moves it."""
        ...

    def clear(self, run_id: str, name: str | None = None) -> None: ...

    def fire(self) -> Sequence[str]:
        """Delete the timers that are due and make their runs ready; return the run ids."""
        ...

    def next(self) -> datetime | None: ...


class Gates(Protocol):
    def open(self, row: GateRow) -> None: ...

    def get(self, gate_id: str) -> GateRow | None: ...

    def of_run(self, run_id: str) -> Sequence[GateRow]: ...

    def list(self, *, open_only: bool = True) -> Sequence[GateRow]: ...

    def vote(self, row: VoteRow) -> None:
        """One vote an actor; a later one replaces the earlier."""
        ...

    def withdraw(self, gate_id: str, actor: str) -> bool: ...

    def votes(self, gate_id: str) -> Sequence[VoteRow]: ...

    def close(self, gate_id: str, state: str) -> bool:
        """Close an open gate; False where it was closed already."""
        ...


class Locks(Protocol):
    def acquire(self, run_id: str, targets: Sequence[Target]) -> Mapping[Target, str]:
        """Take all in sorted order or none; return {target: holder} of the conflicts, empty when taken."""
        ...

    def release(self, run_id: str) -> Sequence[str]:
        """Let go of all; return and wake the runs that waited for one of them."""
        ...

    def wait(self, run_id: str, targets: Sequence[Target]) -> None:
        """Be woken when one of these is released."""
        ...

    def held(self) -> Mapping[Target, str]: ...


class Budgets(Protocol):
    def reserve(
        self,
        scope: str,
        unit: str,
        amount: int,
        *,
        limit: int,
        window: float | None,
        run_id: str,
        key: str,
    ) -> int:
        """Reserve `amount` at an intent (once a key) within `window` seconds (None: for ever); return the
        amount that is missing: 0 when reserved, else nothing was."""
        ...

    def settle(self, key: str, scope: str, unit: str, amount: int) -> None:
        """Replace a reservation by what the receipt says (0 gives it back)."""
        ...

    def used(self, scope: str, unit: str, *, window: float | None) -> int: ...


class Brakes(Protocol):
    def get(self, name: str) -> BrakeRow | None: ...

    def set(self, row: BrakeRow) -> None: ...

    def list(self) -> Sequence[BrakeRow]: ...


class Blobs(Protocol):
    """Frozen programs, plans and before-images: larger texts, outside the chain, by digest."""

    def put_program(self, digest: str, text: str) -> None: ...

    def program(self, digest: str) -> str | None: ...

    def put_plan(self, run_id: str, fingerprint: str, body: Json) -> None: ...

    def plan(self, run_id: str, fingerprint: str | None = None) -> Json:
        """The named plan, or the run's latest; None where there is none."""
        ...

    def put_image(self, run_id: str, key: str, image: Json) -> str:
        """Seal (encrypt) a before-image and return the digest of its plain JSON."""
        ...

    def image(self, run_id: str, key: str) -> Json:
        """The before-image, or None where there is none or it was pruned.

        Raises:
            InvalidInput: its key is missing, or it was changed in the database.
        """
        ...

    def prune_images(self, before: datetime) -> int:
        """Forget the images taken before this time; their digests stay. Return how many."""
        ...


class Schedules(Protocol):
    def fire(self, schedule: str, at: datetime) -> bool:
        """Insert the unique (schedule, fire time) row; False where another node did."""
        ...

    def last(self, schedule: str) -> datetime | None: ...


class Workers(Protocol):
    def beat(self, worker: str, lease: float) -> bool:
        """Renew the lease for `lease` seconds from the database's now; False where it was declared dead."""
        ...

    def recover(self) -> Sequence[str]:
        """Declare workers with an expired lease dead, make their runs ready, raise the epochs; run ids."""
        ...

    def leave(self, worker: str) -> None:
        """A clean stop: as recover, for this worker, at once."""
        ...

    def alive(self) -> Sequence[str]: ...


class Tokens(Protocol):
    def add(
        self, name: str, hashed: str, roles: Sequence[str], expires_at: datetime | None
    ) -> None: ...

    def find(self, hashed: str) -> tuple[str, tuple[str, ...]] | None:
        """(owner's name, roles) of a token that has neither expired nor been revoked."""
        ...

    def revoke(self, name: str) -> int: ...

    def list(self) -> Sequence[JsonObject]: ...


class Tx(Protocol):
    """One transaction. Every attribute is the repository of one word."""

    alerts: Alerts
    decisions: Decisions
    windows: Windows
    episodes: Episodes
    incidents: Incidents
    runs: Runs
    journal: Journal
    timers: Timers
    gates: Gates
    locks: Locks
    budgets: Budgets
    brakes: Brakes
    blobs: Blobs
    schedules: Schedules
    workers: Workers
    tokens: Tokens

    def now(self) -> datetime: ...


class Store(Protocol):
    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a group commit and return its result once durable.

        Raises:
            StoreUnavailable: the database cannot be written now; nothing was kept. (Its subclass
                OutcomeUnknown alone says otherwise: PostgreSQL was cut off during the very commit and
                could not be asked since.)
            Whatever `work` raised; then nothing of it was kept.
        """
        ...

    def submit(self, work: Callable[[Tx], T]) -> Future[T]:
        """As `write`, without waiting; the future resolves once durable."""
        ...

    def read(self, work: Callable[[Tx], T]) -> T:
        """Run `work` on a snapshot; it must not write."""
        ...

    def listen(self, wake: Callable[[str], None]) -> Callable[[], None]:
        """Call `wake(topic)` (`alerts`, `runs`, `journal`) after commits, here or in another process,
        that concern it. May call too often, and late by up to a second. Returns a function that stops it."""
        ...

    def close(self) -> None: ...
