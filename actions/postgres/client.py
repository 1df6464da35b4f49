"""The client that actions use: every transaction bounded, read-only, rolled back or committed as asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from actions.postgres.failures import failed
from actions.postgres.pool import Pool
from actions.postgres.settings import PostgresSettings
from engine.contract import ActionFailed, Category, Opening, SecretRef
from engine.contract.redact import Redactor

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import DictRow

    from actions.postgres.patience import PatientConnection

# What every transaction sets for itself, so that a pooler between us and the server changes nothing.
# standard_conforming_strings is what the parser assumes; the others make texts of values exact.
_LOCAL = {
    "search_path": "public",
    "standard_conforming_strings": "on",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}
_NEVER = 10**9  # prepare only what is asked for: a pooler may hand us another session


class Work:
    """One open transaction."""

    def __init__(self, connection: psycopg.Connection[DictRow]) -> None:
        self._connection = connection
        self.committing = False

    def control(self, sql: str) -> None:
        """Run a statement of our own that steers the transaction, such as SAVEPOINT."""
        self._connection.execute(sql.encode())

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run one statement with `$n` parameters and return its rows, if any."""
        return self.counted(sql, values)[1]

    def counted(self, sql: str, values: Sequence[Any] = ()) -> tuple[int, list[dict[str, Any]]]:
        """Like `run`, with the count of affected rows."""
        from psycopg import RawCursor
        from psycopg.rows import dict_row

        with RawCursor(self._connection, row_factory=dict_row) as cursor:
            # The extended protocol takes one statement, however it is written. The driver uses it
            # where there are values; without any, only a prepared statement makes it do so.
            cursor.execute(sql.encode(), list(values), prepare=None if values else True)
            rows = cursor.fetchall() if cursor.description else []
            return cursor.rowcount, rows

    def fetch(self, sql: str, values: Sequence[Any], limit: int) -> list[dict[str, Any]]:
        """Return at most `limit` rows of a query through a server-side cursor: no more leave the server."""
        from psycopg import RawServerCursor
        from psycopg.rows import dict_row

        with RawServerCursor(self._connection, "stanch_rows", row_factory=dict_row) as cursor:
            cursor.execute(sql.encode(), list(values))
            return cursor.fetchmany(limit)

    def names(self, sql: str, values: Sequence[Any]) -> list[str]:
        """Return the names of a query's columns."""
        from psycopg import RawCursor

        with RawCursor(self._connection) as cursor:
            cursor.execute(sql.encode(), list(values), prepare=None if values else True)
            return [column.name for column in cursor.description or ()]

    def stream(self, sql: str, values: Sequence[Any], size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Yield a query's rows, `size` at a time, through a server-side cursor."""
        from psycopg import RawServerCursor
        from psycopg.rows import tuple_row

        with RawServerCursor(self._connection, "stanch_rows", row_factory=tuple_row) as cursor:
            cursor.execute(sql.encode(), list(values))
            while rows := cursor.fetchmany(size):
                yield rows


class PostgresClient:
    """Transactions on one database. Safe to share between threads."""

    def __init__(self, opening: Opening) -> None:
        self.name = opening.name
        self.settings = cast(PostgresSettings, opening.settings)
        self.writable = opening.writable
        # What a rehearsal's world sets in every transaction besides, its clock; and its open connections.
        self._played: Callable[[], Mapping[str, str]] = opening.transport or dict
        self._pool = Pool(getattr(opening.transport, "idle", None))
        self._dsn, secrets = self._resolve(opening, self.settings.dsn)
        self._read_dsn = self._dsn
        if self.settings.read_dsn is not None:
            self._read_dsn, more = self._resolve(opening, self.settings.read_dsn)
            secrets += more
        self.redactor = Redactor(secrets)
        self._personal = opening.personal
        self._slots = threading.BoundedSemaphore(self.settings.max_connections)

    def _resolve(self, opening: Opening, dsn: SecretRef | str) -> tuple[str, list[str]]:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict, make_conninfo

        text = opening.secret(dsn) if isinstance(dsn, SecretRef) else dsn
        try:
            parts = conninfo_to_dict(text)
        except ProgrammingError:  # libpq quotes the DSN in its message, password and all
            what = f"postgres connection {self.name!r}: its dsn is no DSN that libpq reads"
            raise ActionFailed(Category.CONFIGURATION, what, effect_possible=False) from None
        if self.settings.password is not None:
            parts["password"] = opening.secret(self.settings.password)
        merged: dict[str, Any] = {
            "connect_timeout": int(self.settings.connect_timeout),
            "application_name": "stanch",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            **parts,
        }
        secrets = [str(parts["password"])] if parts.get("password") else []
        return make_conninfo(**merged), secrets

    @contextmanager
    def reading(self, statement_timeout: float | None = None, role: str = "read") -> Iterator[Work]:
        """Open a READ ONLY transaction; `role="write"` opens it as the role that writes.

        Raises:
            ActionFailed: classified.
        """
        dsn = self._read_dsn if role == "read" else self._dsn
        with self._transaction(dsn, "READ ONLY", statement_timeout, None, commit=False) as work:
            yield work

    @contextmanager
    def rehearsing(
        self, statement_timeout: float | None = None, lock_timeout: float | None = None
    ) -> Iterator[Work]:
        """Open a transaction that is always rolled back, whatever happens in it.

        Raises:
            ActionFailed: classified.
        """
        with self._transaction(
            self._dsn, "READ WRITE", statement_timeout, lock_timeout, commit=False
        ) as work:
            yield work

    @contextmanager
    def writing(
        self, statement_timeout: float | None = None, lock_timeout: float | None = None
    ) -> Iterator[Work]:
        """Open a transaction that commits at the end.

        Raises:
            ActionFailed: classified; (permanent) this is a read-only client.
        """
        if not self.writable:
            what = (
                f"postgres connection {self.name!r}: this world is read-only; nothing was written"
            )
            raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
        with self._transaction(
            self._dsn, "READ WRITE", statement_timeout, lock_timeout, commit=True
        ) as work:
            yield work

    @contextmanager
    def _transaction(
        self,
        dsn: str,
        access: str,
        statement_timeout: float | None,
        lock_timeout: float | None,
        *,
        commit: bool,
    ) -> Iterator[Work]:
        import psycopg

        if not self._slots.acquire(timeout=self.settings.connect_timeout):
            what = (
                f"postgres connection {self.name!r}: all {self.settings.max_connections} are busy"
            )
            raise ActionFailed(Category.RESOURCE, what, effect_possible=False)
        connection: PatientConnection | None = None
        committing = False
        try:
            connection = self._begin(dsn, access, statement_timeout, lock_timeout)
            yield Work(connection)
            if commit:
                committing = True
                connection.execute(b"COMMIT")
                committing = False
        except psycopg.Error as error:
            # With an SQLSTATE the server itself says that it rolled back, even at COMMIT.
            lost = committing and error.sqlstate is None
            raise failed(
                error,
                self.name,
                self.redactor,
                effect_possible=lost,
                personal=self._personal,
            ) from None
        finally:
            self._pool.give_back(dsn, connection)
            self._slots.release()

    def _begin(
        self, dsn: str, access: str, statement_timeout: float | None, lock_timeout: float | None
    ) -> PatientConnection:
        import psycopg

        from actions.postgres.patience import PatientConnection

        allowed = statement_timeout or self.settings.statement_timeout
        # The server ends what takes too long; only one that hangs needs to be left.
        patience = allowed + self.settings.connect_timeout
        connection = self._pool.take(dsn)
        if connection is not None:
            connection.patience = patience
            try:
                connection.execute(f"BEGIN ISOLATION LEVEL READ COMMITTED {access}".encode())
            except psycopg.OperationalError:  # it died while idle: one fresh connection instead
                connection.close()
                connection = None
        if connection is None:
            connection = PatientConnection.connect(dsn, autocommit=True, prepare_threshold=_NEVER)
            connection.patience = patience
            connection.execute(f"BEGIN ISOLATION LEVEL READ COMMITTED {access}".encode())
        settings = self.settings
        timeouts = {
            "statement_timeout": f"{allowed * 1000:.0f}",
            "lock_timeout": f"{(lock_timeout or settings.lock_timeout) * 1000:.0f}",
            "idle_in_transaction_session_timeout": "60000",
        }
        local = {**_LOCAL, **timeouts, **self._played()}
        calls = ", ".join("set_config(%s, %s, true)" for _ in local)
        flat = [text for pair in local.items() for text in pair]
        connection.execute(f"SELECT {calls}".encode(), flat)
        return connection

    def close(self) -> None:
        self._pool.close()
