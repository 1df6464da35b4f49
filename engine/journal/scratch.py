"""A store for as long as a question takes: the same tables and rules, in one transaction that is never committed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from engine.domain.clock import Clock
from engine.journal.keys import Keys
from engine.journal.migrate import migrate
from engine.journal.session import WriteSession
from engine.journal.sqlite import SqliteWriter
from engine.journal.sqlite_presence import Presence
from engine.journal.store import Tx
from engine.journal.tx import Time, Transaction

T = TypeVar("T")


class ScratchStore:
    """Implements `engine.journal.store.Store` for one thread. Nothing is durable."""

    def __init__(self, session: WriteSession, tx: Transaction) -> None:
        self._session = session
        self._tx = tx

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` at once; where it raises, nothing of it is kept."""
        self._tx.renew()
        self._session.mark()
        try:
            result = work(self._tx)
        except BaseException:
            self._session.undo()
            raise
        self._session.keep()
        return result

    def submit(self, work: Callable[[Tx], T]) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(self.write(work))
        except Exception as error:  # noqa: BLE001  as a future tells it
            future.set_exception(error)
        return future

    def hand_in(
        self, work: Callable[[Tx], T], told: Callable[[T | None, BaseException | None], None]
    ) -> None:
        try:
            result = self.write(work)
        except Exception as error:  # noqa: BLE001  as it is told
            told(None, error)
        else:
            told(result, None)

    def read(self, work: Callable[[Tx], T]) -> T:
        self._tx.renew()
        return work(self._tx)

    def listen(self, wake: Callable[[str], None]) -> Callable[[], None]:
        """Nobody else writes here, so nobody is told."""
        del wake
        return lambda: None

    def close(self) -> None:
        """Forget everything."""
        self._session.close()


@contextmanager
def scratch_store(clock: Clock) -> Iterator[ScratchStore]:
    """Open a store on the given clock; it is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="stanch-") as folder:
        path = Path(folder) / "scratch.db"
        migrate(f"sqlite:///{path}")
        session = SqliteWriter(path, Presence(path), 5.0, lambda _rows: None)
        session.begin()
        store = ScratchStore(session, Transaction(session, Keys.generate(), Time(clock)))
        try:
            yield store
        finally:
            store.close()
