"""One process in a group of its own: run to its end, bounded in time and in what is kept of its output."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.domain.clock import Clock

_LOOK = 0.05  # seconds between two looks at the process
_GRACE = 2.0  # seconds between asking it to end and killing it


@dataclass(frozen=True)
class Ended:
    """How it ended. `killed` says why it had to be ended; sizes count what was dropped as well."""

    code: int
    output: bytes
    errors: bytes
    output_bytes: int
    error_bytes: int
    seconds: float
    killed: str | None


class _Kept:
    """The first bytes of a stream, and how many there were."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self.size = 0
        self._limit = limit

    def take(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self.data += chunk[: max(0, self._limit - len(self.data))]


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdin: bytes,
    timeout: float,
    limit: int,
    clock: Clock,
    cancelled: Callable[[], bool],
) -> Ended:
    """Run a program without a shell and wait for its end; nothing of its group outlives it.

    Raises:
        OSError: it cannot be started.
    """
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        start = clock.monotonic()
        process = subprocess.Popen(  # noqa: S603 - an argument list, from the connection's allow-list
            list(arguments),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
    with process, selectors.DefaultSelector() as selector:
        assert process.stdout is not None
        assert process.stderr is not None
        streams = {process.stdout.fileno(): _Kept(limit), process.stderr.fileno(): _Kept(limit)}
        output, errors = streams.values()
        for stream in streams:
            os.set_blocking(stream, False)
            selector.register(stream, selectors.EVENT_READ)
        killed: str | None = None
        try:
            while killed is None and not _has_ended(process.pid):
                _drain(selector, streams, _LOOK)
                if clock.monotonic() - start > timeout:
                    killed = f"no end within {timeout:g} s"
                elif cancelled():
                    killed = "the attempt was given up"
            if killed:
                _signal(process.pid, signal.SIGTERM)
                until = clock.monotonic() + _GRACE
                while not _has_ended(process.pid) and clock.monotonic() < until:
                    _drain(selector, streams, _LOOK)
        finally:
            # Not yet waited for, so the group's number is still its own: children left behind go too.
            _signal(process.pid, signal.SIGKILL)
        while selector.get_map() and _drain(selector, streams, 0.5):
            pass
        code = process.wait()
    return Ended(
        code,
        bytes(output.data),
        bytes(errors.data),
        output.size,
        errors.size,
        round(clock.monotonic() - start, 3),
        killed,
    )


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _drain(selector: selectors.BaseSelector, streams: Mapping[int, _Kept], wait: float) -> bool:
    """Take what there is to read; return whether there was anything within `wait` seconds."""
    ready = selector.select(wait)
    if not selector.get_map():  # both ends are closed: only the process itself is waited for
        time.sleep(wait)
    for key, _ in ready:
        chunk = os.read(key.fd, 65536)
        if chunk:
            streams[key.fd].take(chunk)
        else:
            selector.unregister(key.fd)
    return bool(ready)
