"""The one interface to everything durable. SQLite and PostgreSQL implement it with the same statements.

A unit of work is a function of a `Tx`: `store.write(work)` runs it in the writer's transaction, many at
once in one commit (group commit); one that raises is rolled back alone. Work may be run again (after a
lost connection or a failed group), so it has no effects of its own. What `write` returned is durable.

Times are aware UTC datetimes; `tx.now()` is the database's clock. JSON columns hold JSON data only.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import Protocol, TypeVar

from engine.journal.protocols.alerts import (
    Alerts,
    Decisions,
    Episodes,
    Incidents,
    Schedules,
    Windows,
)
from engine.journal.protocols.brakes import Brakes, Budgets, Locks, Tokens
from engine.journal.protocols.casefiles import (
    Acts,
    Artifacts,
    Calls,
    Postmortems,
    WebSessions,
)
from engine.journal.protocols.chat import Inbox, Outbox, Rooms
from engine.journal.protocols.people import Delegations, Pages
from engine.journal.protocols.runs import (
    Blobs,
    DoneItems,
    Gates,
    Journal,
    Measures,
    Runs,
    Timers,
    Workers,
)

T = TypeVar("T")


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
    pages: Pages
    delegations: Delegations
    outbox: Outbox
    rooms: Rooms
    inbox: Inbox
    calls: Calls
    artifacts: Artifacts
    acts: Acts
    postmortems: Postmortems
    web_sessions: WebSessions
    measures: Measures
    done_items: DoneItems

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

    def hand_in(
        self, work: Callable[[Tx], T], told: Callable[[T | None, BaseException | None], None]
    ) -> None:
        """As `submit`, for the hot paths: `told(result, error)` is called in the writer's own thread.

        It is quick, writes nothing and raises nothing: everybody else's commits wait for it.

        Raises:
            StoreUnavailable: the store is closed; `told` is not called.
        """
        ...

    def read(self, work: Callable[[Tx], T]) -> T:
        """Run `work` on a snapshot; it must not write."""
        ...

    def listen(self, wake: Callable[[str], None]) -> Callable[[], None]:
        """Call `wake(topic)` (`alerts`, `runs`, `journal`, `chat`, `calls`) after commits, here or in another process,
        that concern it. May call too often, and late by up to a second. Returns a function that stops it."""
        ...

    def close(self) -> None: ...
