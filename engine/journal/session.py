"""What a repository asks of a connection: run a statement, fetch rows, say what it touched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.sql.expression import Executable

from engine.domain.errors import StanchError, StoreUnavailable
from engine.journal.statement import Compiled, Statement, compile_statement

Row = tuple[Any, ...]


class Raced(StanchError):
    """Another node was quicker; the work is run again on what it left. Seen outside only when that never ends."""


class Broken(StoreUnavailable):
    """The transaction is lost, and with it every work in it.

    Attributes:
        again: whether the same work may well succeed on a new try (deadlock, connection cut).
    """

    def __init__(self, message: str, *, again: bool) -> None:
        super().__init__(message)
        self.again = again


class OutcomeUnknown(StoreUnavailable):
    """The connection was cut during a commit and the server cannot be asked: the work may have been kept.

    The one case in which StoreUnavailable does not mean that nothing was kept; the message says so.
    """


class Session(ABC):
    """One connection in one transaction.

    Attributes:
        touched: topics that this work changed; told to listeners after the commit.
        changed: whether anything was written since `begin`.
        dirty: whether the present work wrote, or a statement of it failed: it cannot end in an error
            without being rolled back.
        alone: whether nobody else can write until this transaction ends.
        known: what this transaction has read and, being alone, need not read again. Whoever writes it
            forgets it; rolling back forgets everything.
    """

    dialect: Dialect
    alone = False

    def __init__(self) -> None:
        self.touched: set[str] = set()
        self.changed = False
        self.dirty = False
        self.known: dict[tuple[str, ...], Any] = {}
        self._later: dict[Compiled, list[tuple[Any, ...]]] = {}
        self._later_tables: set[str] = set()

    # ------------------------------------------------------------ statements

    def run(self, statement: Statement, **values: Any) -> int:
        """Run a writing statement; return how many rows it changed."""
        compiled = self._ready(statement)
        count = self._execute(compiled.sql, compiled.arguments(values))
        if count > 0:
            self.changed = self.dirty = True
        return count

    def take(self, statement: Statement, **values: Any) -> Sequence[Row]:
        """Run a writing statement that returns rows."""
        compiled = self._ready(statement)
        rows = self._fetch(compiled.sql, compiled.arguments(values))
        if rows:
            self.changed = self.dirty = True
        return rows

    def all(self, statement: Statement, **values: Any) -> Sequence[Row]:
        compiled = self._ready(statement)
        return self._fetch(compiled.sql, compiled.arguments(values))

    def one(self, statement: Statement, **values: Any) -> Row | None:
        rows = self.all(statement, **values)
        return rows[0] if rows else None

    def many(self, statement: Statement, rows: Iterable[Mapping[str, Any]]) -> int:
        """Run a writing statement once for each of `rows`; return how many rows it changed in all."""
        compiled = self._ready(statement)
        prepared = [compiled.arguments(values) for values in rows]
        count = self._execute_many(compiled.sql, prepared) if prepared else 0
        if count > 0:
            self.changed = self.dirty = True
        return count

    def query(self, core: Executable) -> Sequence[Row]:
        """Run a statement that is put together for the occasion (lists with filters)."""
        self.catch_up()
        compiled = compile_statement(core, self.dialect)
        return self._fetch(compiled.sql, compiled.arguments({}))

    def later(self, statement: Statement, **values: Any) -> None:
        """Put an insert off that nobody needs an answer of: the rows of many works go in at once.

        They are in before any statement that names their table, and before the commit.
        """
        compiled = statement.compiled(self.dialect)
        rows = self._later.get(compiled)
        if rows is None:
            rows = self._later[compiled] = []
            self._later_tables |= compiled.tables
        rows.append(compiled.arguments(values))
        self.changed = self.dirty = True

    def catch_up(self) -> None:
        """Carry out what was put off."""
        if not self._later:
            return
        waiting, self._later = self._later, {}
        self._later_tables = set()
        for compiled, rows in waiting.items():
            self._execute_many(compiled.sql, rows)

    def forget(self) -> None:
        """Nothing of what was put off or read is true any more: the transaction begins or was rolled back."""
        self._later.clear()
        self._later_tables.clear()
        self.known.clear()

    def _ready(self, statement: Statement) -> Compiled:
        compiled = statement.compiled(self.dialect)
        if self._later and not compiled.tables.isdisjoint(self._later_tables):
            self.catch_up()
        return compiled

    def touch(self, topic: str) -> None:
        self.touched.add(topic)

    @abstractmethod
    def _execute(self, sql: str, values: Sequence[Any]) -> int: ...

    @abstractmethod
    def _execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int: ...

    @abstractmethod
    def _fetch(self, sql: str, values: Sequence[Any]) -> Sequence[Row]: ...

    # ------------------------------------------------------------ the database's clock and locks

    @abstractmethod
    def clock(self) -> int:
        """The database's clock, in microseconds since the epoch."""

    @abstractmethod
    def serialise(self, name: str) -> None:
        """Wait until no other transaction holds `name`, and hold it to the end of this one."""

    @abstractmethod
    def enter(self, worker: str) -> bool:
        """Hold a lock in the name of `worker` that the system frees when this process dies."""

    @abstractmethod
    def left(self, worker: str) -> None:
        """Let go of that lock."""

    @abstractmethod
    def gone(self, worker: str) -> bool:
        """Whether that lock is free, which it is only when its process died."""


class WriteSession(Session):
    """A session of the writer: a group of works in one transaction.

    Attributes:
        group_limit: works that share a commit at most.
        refuse_waiting: fails everything that queues for the writer; False once it is told to end.
    """

    group_limit: int
    refuse_waiting: Callable[[StoreUnavailable], bool]

    @abstractmethod
    def begin(self) -> None:
        """Start the group's transaction. Raises Broken."""

    @abstractmethod
    def mark(self) -> None:
        """Start a work that can be undone alone (in groups that are run a second time)."""

    @abstractmethod
    def keep(self) -> None:
        """End a work that `mark` started."""

    @abstractmethod
    def undo(self) -> None:
        """Roll back to the last `mark`."""

    @abstractmethod
    def commit(self) -> None:
        """Make the group durable. Raises Broken where it certainly was not kept."""

    @abstractmethod
    def abort(self) -> None:
        """Roll the group back; never raises. Leaves a session that `begin` can use, or reconnects there."""

    @abstractmethod
    def close(self) -> None: ...


class ReadSession(Session):
    @abstractmethod
    def snapshot(self) -> None:
        """Start a transaction that sees one state. Raises Broken."""

    @abstractmethod
    def done(self) -> None: ...

    @abstractmethod
    def close(self) -> None: ...
