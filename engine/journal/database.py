"""`open_store`: the store over whichever database the URL names."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from engine.domain.clock import Clock
from engine.domain.errors import InvalidInput, StoreUnavailable
from engine.journal.keys import Keys
from engine.journal.migrate import migrate
from engine.journal.session import Broken, ReadSession, WriteSession
from engine.journal.store import Tx
from engine.journal.tx import Time, Transaction
from engine.journal.wakes import Listeners
from engine.journal.writer import CommitHook, Writer

T = TypeVar("T")

IDLE_READERS = 8  # connections kept for the next reads


class Backend:
    """What differs between databases: how sessions are opened and how other processes are heard."""

    def __init__(
        self,
        writer: Callable[[], WriteSession],
        reader: Callable[[], ReadSession],
        watch: Callable[[Callable[[Iterable[str]], None], threading.Event], None],
        close: Callable[[], None],
    ) -> None:
        self.writer = writer
        self.reader = reader
        self.watch = watch
        self.close = close


class Database:
    """The store (`engine.journal.store.Store`) over one database."""

    def __init__(
        self, backend: Backend, keys: Keys, time: Time, on_commit: CommitHook | None
    ) -> None:
        self.keys = keys
        self._backend = backend
        self._time = time
        self._listeners = Listeners(lambda stop: backend.watch(self._listeners.tell, stop))
        self._writer = Writer(self._open_writer, self._listeners.tell, on_commit)
        self._readers: deque[tuple[ReadSession, Transaction]] = deque()
        self._pid = os.getpid()
        self._closed = False

    def _open_writer(self) -> tuple[WriteSession, Transaction]:
        session = self._backend.writer()
        return session, Transaction(session, self.keys, self._time)

    # ------------------------------------------------------------ the store

    def write(self, work: Callable[[Tx], T]) -> T:
        return self._writer.write(work)

    def submit(self, work: Callable[[Tx], T]) -> Future[T]:
        return self._writer.submit(work)

    def hand_in(
        self, work: Callable[[Tx], T], told: Callable[[T | None, BaseException | None], None]
    ) -> None:
        self._writer.hand_in(work, told)

    def read(self, work: Callable[[Tx], T]) -> T:
        """As the interface says.

        Raises:
            StoreUnavailable: the database cannot be read now.
        """
        session, tx = self._reader()
        try:
            result = work(tx)
        except Broken:
            session.close()
            raise
        except BaseException:
            self._give_back(session, tx)
            raise
        self._give_back(session, tx)
        return result

    def _give_back(self, session: ReadSession, tx: Transaction) -> None:
        session.done()
        if len(self._readers) < IDLE_READERS:
            self._readers.append((session, tx))
        else:
            session.close()

    def _reader(self) -> tuple[ReadSession, Transaction]:
        """A session in a new snapshot: a free one of earlier reads, or a new one."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._pid != os.getpid():  # a fork: the parent's connections stay the parent's
            _orphans.append(self._readers)
            self._readers, self._pid = deque(), os.getpid()
        while True:
            try:
                session, tx = self._readers.pop()
            except IndexError:
                session = self._backend.reader()
                tx = Transaction(session, self.keys, self._time)
                session.snapshot()
                break
            try:
                session.snapshot()
                break
            except Broken:
                session.close()  # it was cut while idle; try the next, then a new one
        tx.renew()
        return session, tx

    def listen(self, wake: Callable[[str], None]) -> Callable[[], None]:
        return self._listeners.add(wake)

    def close(self) -> None:
        self._writer.close()
        self._closed = True
        self._listeners.close()
        while self._readers:
            self._readers.pop()[0].close()
        self._backend.close()


_orphans: list[object] = []


def open_store(
    url: str,
    *,
    keys: Keys,
    clock: Clock | None = None,
    offset: Callable[[], float] | None = None,
    on_commit: CommitHook | None = None,
    busy: float = 5.0,
) -> Database:
    """Open the store, making or migrating its tables first.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user@host/database`.
        keys: the keys of before-images and seals (`engine.journal.keys.load_keys`).
        clock: where given, `tx.now()` is this clock's (rehearsals), else the database's.
        offset: seconds added to the time wherever the store reads it (tests).
        on_commit: called around each commit (`Writer`); fault tests end the process there.
        busy: seconds to wait for another process's lock before a write is StoreUnavailable.

    Raises:
        InvalidInput: the URL names no database that Stanch knows.
        SchemaTooNew: a newer Stanch made the tables.
        StoreUnavailable: the database cannot be reached or written.
    """
    parsed = _parse(url)
    migrate(url)
    backend = (
        _sqlite(parsed, busy) if parsed.get_backend_name() == "sqlite" else _postgres(parsed, busy)
    )
    return Database(backend, keys, Time(clock, offset), on_commit)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidInput(
            "the store's URL cannot be read; write sqlite:///var/stanch.db or "
            "postgresql://user@host/database"
        ) from None
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise InvalidInput(
            f"the store is on {parsed.get_backend_name()!r}; Stanch knows sqlite and postgresql"
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise InvalidInput("the store needs a file: sqlite:///var/stanch.db")
    return parsed


def _sqlite(url: URL, busy: float) -> Backend:
    from engine.journal import sqlite, sqlite_watch
    from engine.journal.sqlite_presence import Presence

    path = Path(url.database or "").absolute()
    presence = Presence(path)
    checkpointer = sqlite_watch.Checkpointer(path)

    def close() -> None:
        checkpointer.close()
        presence.close()

    return Backend(
        writer=lambda: sqlite.SqliteWriter(path, presence, busy, checkpointer.wrote),
        reader=lambda: sqlite.SqliteReader(path, presence, busy),
        watch=lambda tell, stop: sqlite_watch.watch(path, tell, stop),
        close=close,
    )


def _postgres(url: URL, busy: float) -> Backend:
    from engine.journal import postgres, postgres_watch
    from engine.journal.postgres_presence import Presence
    from engine.journal.postgres_server import Server

    server = Server(url, busy)
    presence = Presence(server)
    node = uuid4().hex
    return Backend(
        writer=lambda: postgres.PostgresWriter(server, presence, node),
        reader=lambda: postgres.PostgresReader(server),
        watch=lambda tell, stop: postgres_watch.watch(server, node, tell, stop),
        close=presence.close,
    )
