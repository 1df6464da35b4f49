"""How slowly an answer may come: a peer that sends a byte now and then is as silent as one that sends none.

Time-outs of sockets are for one wait each, so that an answer that trickles never ends. Here the waits of one
answer are counted together: what comes at `RATE` or faster earns its time back, what does not runs out of it.
The time that a reader takes over what it has does not count.
"""

from __future__ import annotations

import io
from time import monotonic
from typing import Any

RATE = 1024.0  # bytes a second; below it an answer has its time-out and no more


class Pace:
    """The time that one connection's answers have, by the waits of its reader."""

    def __init__(self) -> None:
        self._left: float | None = None

    def asked(self) -> None:
        """A request goes out: its answer has its own time."""
        self._left = None

    def wait(self, timeout: float | None) -> float | None:
        """Return how long the next wait may take where the time-out is `timeout`, None where there is none.

        Raises:
            TimeoutError: the answer has had its time.
        """
        if timeout is None:
            return None
        self._left = timeout if self._left is None else min(self._left, timeout)
        if self._left <= 0:
            raise TimeoutError("timed out")
        return self._left

    def heard(self, size: int, waited: float) -> None:
        """Count a wait of so many seconds, which brought so many bytes."""
        if self._left is not None:
            self._left += size / RATE - waited


class PacedSocket:
    """A socket whose answers keep to a pace, for `http.client` and `smtplib`, which read by `makefile`."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._pace = Pace()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def sendall(self, data: Any, *flags: int) -> None:
        self._pace.asked()
        self._inner.sendall(data, *flags)

    def makefile(self, mode: str = "r", buffering: int | None = None, **_: Any) -> Any:
        """Return a file to read bytes from, which is all that these libraries ask for."""
        assert mode == "rb"
        raw = _Reader(self._inner, self._pace)
        return raw if buffering == 0 else io.BufferedReader(raw)


class _Reader(io.RawIOBase):
    def __init__(self, inner: Any, pace: Pace) -> None:
        super().__init__()
        self._inner = inner
        self._file = inner.makefile("rb", buffering=0)  # keeps the socket open until it is closed
        self._pace = pace

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        timeout = self._inner.gettimeout()
        self._inner.settimeout(self._pace.wait(timeout))
        start = monotonic()
        try:
            size: int | None = self._file.readinto(buffer)
        finally:
            self._inner.settimeout(timeout)
        self._pace.heard(size or 0, monotonic() - start)
        return size

    def close(self) -> None:
        self._file.close()
        super().close()


def pace_pools(manager: Any) -> None:
    """Let the answers of all connections of a `urllib3.PoolManager` keep to a pace."""
    manager.pool_classes_by_scheme = {
        scheme: _paced_pool(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
    }


def _paced_pool(pool: Any) -> Any:
    class PacedConnection(pool.ConnectionCls):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            self.sock: Any = PacedSocket(self.sock)

    class PacedPool(pool):  # type: ignore[misc]
        ConnectionCls = PacedConnection

    return PacedPool
