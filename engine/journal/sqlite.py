"""SQLite: one file, WAL, synchronous FULL, one writer a process and as many readers as ask."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.engine import Dialect

from engine.journal.session import Broken, ReadSession, Row, Session, WriteSession
from engine.journal.sqlite_presence import Presence
from engine.journal.tx import system_micros

SQLITE: Dialect = sqlite_dialect(paramstyle="qmark")

BUSY_SECONDS = 5.0

# The writer itself copies the log into the file only where the thread for it lags this far behind:
# 80 MB. It would otherwise do so in the middle of somebody's commit.
LOG_PAGES = 20_000

# What is wrong with the database, not with the statement, by SQLite's primary result code.
_AWAY = {
    sqlite3.SQLITE_BUSY: "another process holds the file; if it stays so, find who with `fuser`",
    sqlite3.SQLITE_LOCKED: "another connection holds the table",
    sqlite3.SQLITE_FULL: "the disk is full (or the file's size limit is reached); make room",
    sqlite3.SQLITE_IOERR: "reading or writing the file failed; look at the disk and its log",
    sqlite3.SQLITE_READONLY: "the file or its folder is read-only for this process",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; look at the path and its rights",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore it from a backup",
    sqlite3.SQLITE_NOTADB: "the file is not an SQLite database",
    sqlite3.SQLITE_PROTOCOL: "locking the file failed; is it on a network file system?",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
    sqlite3.SQLITE_PERM: "the file's rights do not allow it",
}
_AGAIN = {sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}


def broken(path: Path, error: sqlite3.Error) -> Broken | None:
    """Return what to raise where the database itself is the trouble, None for a wrong statement."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    advice = _AWAY.get(code)
    if advice is None:
        return None
    return Broken(
        f"the journal {path} cannot be used: {error}. Nothing was kept: {advice}",
        again=code in _AGAIN,
    )


def connect(path: Path, busy: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open a connection with the settings that the promises rest on. Raises Broken."""
    try:
        connection = sqlite3.connect(
            path,
            timeout=busy,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        _use_log(connection, busy)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA cache_size = -16384")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
    except sqlite3.Error as error:
        raise broken(path, error) or error from None
    return connection


def _use_log(connection: sqlite3.Connection, busy: float) -> None:
    """Go to WAL mode, which the file keeps. SQLite's own waiting does not cover the change itself."""
    until = time.monotonic() + busy
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


class _SqliteSession(Session):
    dialect = SQLITE

    def __init__(self, path: Path, connection: sqlite3.Connection, presence: Presence) -> None:
        super().__init__()
        self._presence = presence
        self._path = path
        self._connection = connection
        self._cursor = connection.cursor()

    def _execute(self, sql: str, values: Sequence[Any]) -> int:
        try:
            return self._cursor.execute(sql, values).rowcount
        except sqlite3.Error as error:
            self.dirty = True
            raise broken(self._path, error) or error from None

    def _execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        try:
            return self._cursor.executemany(sql, rows).rowcount
        except sqlite3.Error as error:
            self.dirty = True
            raise broken(self._path, error) or error from None

    def _fetch(self, sql: str, values: Sequence[Any]) -> Sequence[Row]:
        try:
            return self._cursor.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            self.dirty = True
            raise broken(self._path, error) or error from None

    def clock(self) -> int:
        return system_micros()

    def serialise(self, name: str) -> None:
        """Nothing to do: a write transaction is alone anyway."""

    def enter(self, worker: str) -> bool:
        return self._presence.enter(worker)

    def left(self, worker: str) -> None:
        self._presence.left(worker)

    def gone(self, worker: str) -> bool:
        return self._presence.gone(worker)

    def _quietly(self, sql: str) -> None:
        try:
            self._connection.execute(sql)
        except sqlite3.Error:
            self._connection.close()


class SqliteWriter(_SqliteSession, WriteSession):
    """The writer's session.

    Args:
        presence: where the locks in the workers' names are held.
        wrote: told after each commit how many rows it changed.
    """

    group_limit = 256
    alone = True

    def __init__(
        self, path: Path, presence: Presence, busy: float, wrote: Callable[[int], None]
    ) -> None:
        super().__init__(path, connect(path, busy), presence)
        self._wrote = wrote
        self._rows = 0
        self._busy = busy

    def begin(self) -> None:
        self.forget()
        self.changed = False
        self.touched = set()
        try:
            # IMMEDIATE: the wait for another process's write is here, never in the middle.
            self._cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.ProgrammingError:  # closed by abort
            self._reopen()
            self.begin()
        except sqlite3.Error as error:
            raise broken(self._path, error) or error from None

    def _reopen(self) -> None:
        self._connection = connect(self._path, self._busy)
        self._cursor = self._connection.cursor()
        self._rows = 0

    def mark(self) -> None:
        self.catch_up()
        self._control("SAVEPOINT work")

    def keep(self) -> None:
        self.catch_up()
        self._control("RELEASE work")

    def undo(self) -> None:
        self.forget()
        self._control("ROLLBACK TO work")
        self._control("RELEASE work")

    def commit(self) -> None:
        self._control("COMMIT")
        rows = self._connection.total_changes
        self._wrote(rows - self._rows)
        self._rows = rows

    def _control(self, sql: str) -> None:
        try:
            self._cursor.execute(sql)
        except sqlite3.Error as error:
            # Some errors (a full disk, an I/O error) have rolled everything back by themselves.
            raise (
                broken(self._path, error)
                or Broken(f"the journal's transaction ended early: {error}", again=False)
            ) from None

    def abort(self) -> None:
        if self._connection.in_transaction:
            self._quietly("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


class SqliteReader(_SqliteSession, ReadSession):
    def __init__(self, path: Path, presence: Presence, busy: float) -> None:
        connection = connect(path, busy)
        connection.execute("PRAGMA query_only = ON")
        super().__init__(path, connection, presence)

    def snapshot(self) -> None:
        self._control("BEGIN")

    def done(self) -> None:
        if self._connection.in_transaction:
            self._quietly("ROLLBACK")

    def _control(self, sql: str) -> None:
        try:
            self._cursor.execute(sql)
        except sqlite3.Error as error:
            raise broken(self._path, error) or error from None

    def close(self) -> None:
        self._connection.close()
