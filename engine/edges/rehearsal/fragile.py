"""A store in which the engine's process dies at a chosen write: before it, or after it and before its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from engine.edges.rehearsal.faults import Crash
from engine.journal.database import Database
from engine.journal.keys import Keys
from engine.journal.store import Tx

T = TypeVar("T")
Phase = Literal["before", "after"]


@dataclass
class Writes:
    """The engine's own writes of one performance, and the one at which it dies.

    Attributes:
        armed: whether the engine is at work; what people and alerts write is theirs.
        number: how many there were. changing: the numbers of those that changed something.
        labels: what each was for, where that is known.
        reached: told before and after each of the engine's writes; it may choose that this one is it.
        store: what the writes go to, once it is opened.
        commits: how many commits changed something, whoever made them.
    """

    dies_at: int = 0
    phase: Phase = "before"
    armed: bool = False
    number: int = 0
    commits: int = 0
    changing: list[int] = field(default_factory=list)
    labels: dict[int, str] = field(default_factory=dict)
    reached: Callable[[int, Phase], None] | None = None
    store: FragileStore | None = None

    def on_commit(self, _number: int, phase: Phase) -> None:
        if phase == "after":
            self.commits += 1

    def label(self, text: str) -> None:
        """Say what the latest write was for."""
        self.labels.setdefault(self.number, text)

    def around(self, write: Callable[[], T]) -> T:
        """Make a write, or die at it.

        Raises:
            Crash: the process dies here.
        """
        if not self.armed:
            return write()
        self.number += 1
        self._at("before")
        before = self.commits
        result = write()
        if self.commits > before:
            self.changing.append(self.number)
        self._at("after")
        return result

    def _at(self, phase: Phase) -> None:
        if self.reached is not None:
            self.reached(self.number, phase)
        if (self.number, phase) == (self.dies_at, self.phase):
            raise Crash(f"{phase} write {self.number}")


class FragileStore:
    """A database, as `engine.journal.store.Store` says, whose writes go through `Writes`.

    Args:
        opens: opens the database, again and again. folder: where its files lie.
    """

    def __init__(self, opens: Callable[[], Database], folder: Path, writes: Writes) -> None:
        self.folder = folder
        self._opens = opens
        self._database = opens()
        self._writes = writes
        writes.store = self

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Have no thread, no connection and no file of the database while the block runs.

        Who listens is not told afterwards: nobody does where the engine is driven by hand.
        """
        self._database.close()
        try:
            yield
        finally:
            self._database = self._opens()

    @property
    def keys(self) -> Keys:
        return self._database.keys

    def write(self, work: Callable[[Tx], T]) -> T:
        return self._writes.around(lambda: self._database.write(work))

    def submit(self, work: Callable[[Tx], T]) -> Future[T]:
        def write() -> Future[T]:
            future = self._database.submit(work)
            future.exception()  # a crash after it comes after it is durable
            return future

        return self._writes.around(write)

    def hand_in(
        self, work: Callable[[Tx], T], told: Callable[[T | None, BaseException | None], None]
    ) -> None:
        def write() -> None:
            future = self._database.submit(work)
            error = future.exception()  # as above
            told(None if error else future.result(), error)

        self._writes.around(write)

    def read(self, work: Callable[[Tx], T]) -> T:
        return self._database.read(work)

    def listen(self, wake: Callable[[str], None]) -> Callable[[], None]:
        return self._database.listen(wake)

    def close(self) -> None:
        self._database.close()
