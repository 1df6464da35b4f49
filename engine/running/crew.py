"""The threads of one worker: how many runs it drives at once, and which of them are kept free for a P0."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

from engine.domain.incident import PRIORITIES
from engine.journal.rows import RunRow

KEPT_FREE = 2  # threads besides the configured ones: a P0 never waits behind a P2 for a worker

Owned = tuple[str, int]  # run, epoch


class Crew:
    """Drives runs, each in a thread, and knows which it drives.

    Args:
        threads: runs at once, whatever their priority. `KEPT_FREE` more are for P0s alone.
        freed: told whenever there is room for one more.
    """

    def __init__(self, threads: int, freed: Callable[[], None]) -> None:
        self._threads = threads
        self._freed = freed
        self._driven: set[Owned] = set()
        self._lock = threading.Lock()
        self._runs = ThreadPoolExecutor(threads + KEPT_FREE, thread_name_prefix="run")
        # Steps of one run side by side have their own pool, so that runs never wait for themselves.
        self._steps = ThreadPoolExecutor(threads, thread_name_prefix="step")
        self._p0_steps = ThreadPoolExecutor(threads, thread_name_prefix="p0-step")

    @property
    def room(self) -> tuple[int, int]:
        """How many more runs may be driven, and how many P0s besides."""
        free = self._threads - len(self._driven)
        return max(0, free), KEPT_FREE + min(0, free)

    def steps(self, row: RunRow) -> Executor:
        """Where the steps of this run go that run side by side."""
        return self._p0_steps if row.priority >= PRIORITIES["P0"] else self._steps

    def begin(self, row: RunRow, drive: Callable[[], None]) -> None:
        """Count a run as driven, from now until `drive` has returned, and drive it in a thread."""
        owned = (row.id, row.epoch)
        with self._lock:
            self._driven.add(owned)

        def driving() -> None:
            try:
                drive()
            finally:
                with self._lock:
                    self._driven.discard(owned)
                self._freed()

        self._runs.submit(driving)

    def also(self, work: Callable[[], None]) -> None:
        """Do something for a run that is no longer driven."""
        self._runs.submit(work)

    def driven(self) -> frozenset[Owned]:
        """Which runs are driven now."""
        with self._lock:
            return frozenset(self._driven)

    def leave(self) -> None:
        """Wait until everything that began has come to rest; nothing more can begin."""
        for pool in (self._runs, self._steps, self._p0_steps):
            pool.shutdown(wait=True)
