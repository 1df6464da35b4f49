"""PostgreSQL through psycopg: one writing connection a process, few round trips a group, nothing applied twice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.journal.postgres_dialect import POSTGRES, POSTGRES_READ
from engine.journal.postgres_presence import Presence
from engine.journal.postgres_server import CHANNEL, Server, lock_key, presence_key
from engine.journal.session import (
    Broken,
    OutcomeUnknown,
    ReadSession,
    Row,
    Session,
    WriteSession,
)
from engine.journal.wakes import TOPICS

if TYPE_CHECKING:
    import psycopg

RESOLVE_SECONDS = 60.0  # how long to ask what became of a commit whose answer was lost


class _PostgresSession(Session):
    def __init__(self, server: Server, connection: psycopg.Connection[Row]) -> None:
        super().__init__()
        import psycopg

        self._error = psycopg.Error
        self._server = server
        self._connection = connection
        self._cursor = connection.cursor()
        self._base = (0, 0)  # the database's clock and ours when it was read, both in microseconds

    def _execute(self, sql: str, values: Sequence[Any]) -> int:
        try:
            return self._cursor.execute(sql.encode(), values).rowcount
        except self._error as error:
            self.dirty = True
            raise self._server.broken(self._connection, error) or error from None

    def _execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        try:
            self._cursor.executemany(sql.encode(), rows)
            return self._cursor.rowcount
        except self._error as error:
            self.dirty = True
            raise self._server.broken(self._connection, error) or error from None

    def _fetch(self, sql: str, values: Sequence[Any]) -> Sequence[Row]:
        try:
            return self._cursor.execute(sql.encode(), values).fetchall()
        except self._error as error:
            self.dirty = True
            raise self._server.broken(self._connection, error) or error from None

    def _control(self, sql: str) -> None:
        try:
            self._cursor.execute(sql.encode())
        except self._error as error:
            raise self._server.broken(self._connection, error) or error from None

    def _last_row(self) -> Row:
        """The row of the last of several statements sent as one."""
        while self._cursor.nextset():
            pass
        row = self._cursor.fetchone()
        assert row is not None
        return row

    def _set_clock(self, micros: int) -> None:
        self._base = (micros, time.monotonic_ns() // 1000)

    def clock(self) -> int:
        micros, then = self._base
        return micros + time.monotonic_ns() // 1000 - then

    def close(self) -> None:
        self._connection.close()


_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_BEGIN = f"BEGIN; SELECT pg_current_xact_id()::text, {_NOW}"


class PostgresWriter(_PostgresSession, WriteSession):
    """The writer's session: begin and commit are one round trip each."""

    dialect = POSTGRES
    group_limit = 60  # of a group run in savepoints: more of them slow every reader's snapshot

    def __init__(self, server: Server, presence: Presence, node: str) -> None:
        super().__init__(server, server.connect("writer"))
        self._presence = presence
        self._node = node
        self._xid = ""

    def begin(self) -> None:
        self.forget()
        self.changed = False
        self.touched = set()
        if self._connection.closed:
            self._reopen()
        self._control(_BEGIN)
        self._xid, micros = self._last_row()
        self._set_clock(micros)

    def _reopen(self) -> None:
        self._connection = self._server.connect("writer")
        self._cursor = self._connection.cursor()

    def mark(self) -> None:
        self.catch_up()
        self._control("SAVEPOINT work")

    def keep(self) -> None:
        self.catch_up()
        self._control("RELEASE SAVEPOINT work")

    def undo(self) -> None:
        self.forget()
        self._control("ROLLBACK TO SAVEPOINT work; RELEASE SAVEPOINT work")

    def commit(self) -> None:
        told = " ".join(topic for topic in TOPICS if topic in self.touched)
        notify = f"NOTIFY {CHANNEL}, '{self._node} {told}'; " if told else ""
        try:
            self._cursor.execute(f"{notify}COMMIT".encode())
        except self._error as error:
            if not self._connection.closed:
                raise self._server.away(error) from None
            self._resolve(self._xid)

    def _resolve(self, xid: str) -> None:
        """The answer to COMMIT was lost: ask the server what became of the transaction.

        Returns where it was committed. Until it can be asked, those who only queue are refused.

        Raises:
            Broken: it was certainly not committed.
            OutcomeUnknown: it could not be found out in time.
        """
        until = time.monotonic() + RESOLVE_SECONDS
        while True:
            try:
                self._reopen()
                status = self._status(xid)
            except Broken as away:
                if not self.refuse_waiting(away) or time.monotonic() > until:
                    raise OutcomeUnknown(
                        f"the connection to {self._server.name} was cut during a commit and the "
                        "server does not answer since: the work may or may not have been kept"
                    ) from None
                status = None
            if status == "committed":
                return
            if status == "aborted":
                raise Broken(
                    "the connection was cut before the commit; nothing was kept", again=True
                )
            time.sleep(0.05)

    def _status(self, xid: str) -> str | None:
        try:
            row = self._cursor.execute("SELECT pg_xact_status(%s::xid8)", (xid,)).fetchone()
        except self._error as error:
            if error.sqlstate == "22023":  # a number in the future: a standby that never saw it
                return "aborted"
            raise self._server.away(error) from None
        return None if row is None or row[0] == "in progress" else str(row[0])

    def abort(self) -> None:
        if not self._connection.closed:
            try:
                self._cursor.execute("ROLLBACK")
            except self._error:
                self._connection.close()

    # ------------------------------------------------------------ locks

    def serialise(self, name: str) -> None:
        self._fetch("SELECT pg_advisory_xact_lock(%s)", (lock_key(name),))

    def enter(self, worker: str) -> bool:
        return self._presence.enter(worker)

    def left(self, worker: str) -> None:
        self._presence.left(worker)

    def gone(self, worker: str) -> bool:
        if self._presence.holds(worker):
            return False
        ((free,),) = self._fetch("SELECT pg_try_advisory_xact_lock(%s)", (presence_key(worker),))
        return bool(free)


class PostgresReader(_PostgresSession, ReadSession):
    """A reader's session: repeatable read, so that everything read is of one moment."""

    dialect = POSTGRES_READ

    def __init__(self, server: Server) -> None:
        super().__init__(server, server.connect("reader"))

    def snapshot(self) -> None:
        self._control(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT {_NOW}")
        self._set_clock(self._last_row()[0])

    def done(self) -> None:
        try:
            self._cursor.execute("ROLLBACK")
        except self._error:
            self._connection.close()

    def serialise(self, name: str) -> None:
        """Nothing to do: a reader decides nothing."""

    def enter(self, worker: str) -> bool:
        raise NotImplementedError("a reader holds no worker's lock")

    def left(self, worker: str) -> None:
        raise NotImplementedError("a reader holds no worker's lock")

    def gone(self, worker: str) -> bool:
        raise NotImplementedError("a reader declares nobody dead")
