"""The last write of a run: handed in by its owner, waited for by whoever must know that it is durable."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Ending:
    """The last write of a run, under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._settled = False
        self._error: BaseException | None = None
        self._then: Callable[[BaseException | None], None] | None = None

    def settle(self, error: BaseException | None) -> None:
        """It is durable, or it failed."""
        with self._lock:
            self._settled, self._error = True, error
            then = self._then
        if then is not None:
            then(error)

    def then(self, tell: Callable[[BaseException | None], None]) -> None:
        """Call `tell` with the error, or None, once settled; at once where it is."""
        with self._lock:
            if not self._settled:
                self._then = tell
                return
        tell(self._error)

    def wait(self) -> None:
        """Return once durable. Raises as `Session.flush`."""
        done = threading.Event()
        self.then(lambda _: done.set())
        done.wait()
        if self._error is not None:
            raise self._error
