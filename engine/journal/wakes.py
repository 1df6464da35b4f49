"""Who wants to know of commits, here and in other processes."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable

log = logging.getLogger("stanch.journal")

TOPICS = ("alerts", "runs", "journal", "chat", "calls")


class Listeners:
    """Functions to be told of topics. They are called from the store's threads and must be quick.

    Args:
        watch: runs until the event is set, telling of other processes' commits; started with the
            first listener, in a thread of its own.
    """

    def __init__(self, watch: Callable[[threading.Event], None]) -> None:
        self._watch = watch
        self._lock = threading.Lock()
        self._wakes: tuple[Callable[[str], None], ...] = ()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def add(self, wake: Callable[[str], None]) -> Callable[[], None]:
        """Tell `wake` from now on; returns the function that stops it."""
        with self._lock:
            if self._pid != os.getpid():  # a fork: the parent's listeners and thread stay there
                self._pid, self._wakes, self._thread = os.getpid(), (), None
                self._stop = threading.Event()
            self._wakes = (*self._wakes, wake)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._watch, args=(self._stop,), name="journal-watch", daemon=True
                )
                self._thread.start()

        def stop() -> None:
            with self._lock:
                self._wakes = tuple(each for each in self._wakes if each is not wake)

        return stop

    def tell(self, topics: Iterable[str]) -> None:
        for wake in self._wakes:
            for topic in topics:
                try:
                    wake(topic)
                except Exception:
                    log.exception("a listener of the journal failed; it is told again next time")

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join()
