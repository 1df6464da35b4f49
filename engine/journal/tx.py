"""One transaction as a unit of work sees it: a repository a word, and the database's clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import ColumnElement, func

from engine.domain.clock import Clock
from engine.journal.alerts import Alerts
from engine.journal.artifacts import Acts, Artifacts, Postmortems
from engine.journal.blobs import Blobs, Tokens
from engine.journal.calls import Calls
from engine.journal.chains import Journal
from engine.journal.codec import instant, micros
from engine.journal.decisions import Decisions, Schedules, Windows
from engine.journal.delegations import Delegations
from engine.journal.doneitems import DoneItems
from engine.journal.episodes import Episodes, Incidents
from engine.journal.gates import Brakes, Gates
from engine.journal.keys import Keys
from engine.journal.locks import Budgets, Locks
from engine.journal.measures import Measures
from engine.journal.outbox import Outbox
from engine.journal.pages import Pages
from engine.journal.protocols import alerts, brakes, casefiles, chat, people, runs
from engine.journal.rooms import Inbox, Rooms
from engine.journal.runs import Runs
from engine.journal.session import Session
from engine.journal.timers import Timers
from engine.journal.websessions import WebSessions
from engine.journal.workers import Workers


class Time:
    """Where transactions read the time.

    Args:
        clock: where given, this clock is the time (rehearsals); else it is the database's.
        offset: seconds to add to it, asked each time (tests move it).
    """

    def __init__(
        self, clock: Clock | None = None, offset: Callable[[], float] | None = None
    ) -> None:
        self._clock = clock
        self._offset = offset

    def read(self, session: Session) -> int:
        now = session.clock() if self._clock is None else micros(self._clock.now())
        return now if self._offset is None else now + int(self._offset() * 1_000_000)


class Transaction:
    """The repositories over one session. Made once a connection, renewed with each work."""

    def __init__(self, session: Session, keys: Keys, time_: Time) -> None:
        self.session = session
        self.keys = keys
        self._time = time_
        self._micros: int | None = None
        self._now: datetime | None = None
        self.alerts: alerts.Alerts = Alerts(self)
        self.decisions: alerts.Decisions = Decisions(self)
        self.windows: alerts.Windows = Windows(self)
        self.episodes: alerts.Episodes = Episodes(self)
        self.incidents: alerts.Incidents = Incidents(self)
        self.run_rows = Runs(self)
        self.runs: runs.Runs = self.run_rows
        self.journal: runs.Journal = Journal(self)
        self.timers: runs.Timers = Timers(self)
        self.gates: runs.Gates = Gates(self)
        self.locks: brakes.Locks = Locks(self)
        self.budgets: brakes.Budgets = Budgets(self)
        self.brakes: brakes.Brakes = Brakes(self)
        self.blobs: runs.Blobs = Blobs(self)
        self.schedules: alerts.Schedules = Schedules(self)
        self.worker_rows = Workers(self)
        self.workers: runs.Workers = self.worker_rows
        self.tokens: brakes.Tokens = Tokens(self)
        self.pages: people.Pages = Pages(self)
        self.delegations: people.Delegations = Delegations(self)
        self.outbox: chat.Outbox = Outbox(self)
        self.rooms: chat.Rooms = Rooms(self)
        self.inbox: chat.Inbox = Inbox(self)
        self.calls: casefiles.Calls = Calls(self)
        self.artifacts: casefiles.Artifacts = Artifacts(self)
        self.acts: casefiles.Acts = Acts(self)
        self.postmortems: casefiles.Postmortems = Postmortems(self)
        self.web_sessions: casefiles.WebSessions = WebSessions(self)
        self.measures: runs.Measures = Measures(self)
        self.done_items: runs.DoneItems = DoneItems(self)

    def renew(self) -> None:
        """Start a work: its time is read again, once."""
        self._micros = self._now = None

    def now_micros(self) -> int:
        if self._micros is None:
            self._micros = self._time.read(self.session)
        return self._micros

    def now(self) -> datetime:
        if self._now is None:
            self._now = instant(self.now_micros())
        return self._now

    def contains(self, column: ColumnElement[str], part: str) -> ColumnElement[bool]:
        """Whether a text column contains `part`, to the letter."""
        find = func.instr if self.session.dialect.name == "sqlite" else func.strpos
        return find(column, part) > 0


def system_micros() -> int:
    """The machine's clock in whole microseconds."""
    return time.time_ns() // 1000
