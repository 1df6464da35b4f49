"""A child process that is a server: started, waited for until it is ready, and ended by its own handle."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LOG_LINES = 25
_PR_SET_PDEATHSIG = 1
# Loaded before any fork: after it, in the child, nothing may take a lock of the parent's threads.
_RANDOM = random.SystemRandom()  # property tests seed the other one, the same in every process
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class ServerFailed(RuntimeError):
    """A server did not start, was not ready in time, or its program is not installed."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on now."""
    return free_ports(1)[0]


def free_ports(count: int, *, offset: int = 0) -> list[int]:
    """Return `count` free ports; with `offset`, the ports that much above them are free too.

    They lie below the range that the kernel gives to outgoing connections, so that nothing takes one by
    chance between this look and the server's start.
    """
    found: list[int] = []
    for _ in range(2000):
        port = 20000 + _RANDOM.randrange(9000)
        if port not in found and all(_is_free(port + extra) for extra in {0, offset}):
            found.append(port)
            if len(found) == count:
                return found
    raise ServerFailed(f"fewer than {count} free ports between 20000 and 29000 on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def die_with_parent(number: int = signal.SIGKILL) -> Callable[[], None] | None:
    """Return a `preexec_fn` that asks the kernel to send `number` when the starting thread ends.

    A killed test run or demo then leaves no server behind. Where the kernel has no such service, None.
    """
    libc = _LIBC
    if libc is None:
        return None

    def preexec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(number))

    return preexec


def end(process: subprocess.Popen[Any], *, stop: int = signal.SIGTERM, within: float = 5.0) -> None:
    """End a process that this program started: ask, wait `within` seconds, then kill."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(stop)
        try:
            process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(within)


class ServerProcess(ABC):
    """A server program in a folder of its own.

    Args:
        folder: where its data, configuration and log lie; made when absent.
        port: the TCP port on 127.0.0.1; default: a free one.

    Attributes:
        log: the file with the program's output.
        process: the child, from `start` to `stop`.
    """

    title: str
    ready_within = 20.0
    stop_signal: int = signal.SIGTERM
    death_signal: int = signal.SIGKILL

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.log = folder / f"{self.title}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    @abstractmethod
    def missing(cls) -> str | None:
        """Return the package to install, with how, or None where the program is there."""

    @abstractmethod
    def prepare(self) -> Sequence[str]:
        """Write what the program reads and return its argument list."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Ask the program whether it answers."""

    def popen_options(self) -> Mapping[str, Any]:
        """Return further arguments of `subprocess.Popen` (user, environment)."""
        return {}

    @property
    def url(self) -> str:
        """The address of its HTTP interface."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start and wait until ready.

        Raises:
            ServerFailed: the program is missing, ended at once, or was not ready in time; its last
                lines of output are part of the message.
        """
        lacking = self.missing()
        if lacking:
            raise ServerFailed(f"{self.title}: needs {lacking}")
        self.folder.mkdir(parents=True, exist_ok=True)
        arguments = self.prepare()
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - an argument list of our own
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent(self.death_signal),  # noqa: PLW1509
                **self.popen_options(),
            )
        self._wait_until_ready(self.process)
        return self

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + self.ready_within
        while time.monotonic() < until:
            code = process.poll()
            if code is not None:
                raise ServerFailed(f"{self.title} ended with code {code} at start\n{self.tail()}")
            if self.is_ready():
                return
            time.sleep(0.02)
        self.stop()
        raise ServerFailed(
            f"{self.title} was not ready within {self.ready_within:g} s\n{self.tail()}"
        )

    def stop(self) -> None:
        """End the process; harmless when it has ended already."""
        if self.process is not None:
            end(self.process, stop=self.stop_signal)
            self.process = None

    def kill(self) -> None:
        """End the process the hard way (kill -9), as a fault."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(5)
            self.process = None

    def tail(self) -> str:
        """Return the last lines of the log."""
        if not self.log.exists():
            return "(no output)"
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join([f"last lines of {self.log.name}:", *lines])

    def answers(self, path: str) -> bool:
        """Whether a GET of `path` gives a 2xx answer."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=2) as answer:  # noqa: S310
                return 200 <= int(answer.status) < 300
        except (urllib.error.URLError, OSError):
            return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def owner_ids(name: str) -> tuple[int, int, list[int]] | None:
    """Return (uid, gid, groups) of the system user `name` when this program is root, else None.

    Raises:
        ServerFailed: root, but the machine has no such user.
    """
    if os.geteuid() != 0:
        return None
    import pwd

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise ServerFailed(
            f"this runs as root and the system user {name!r} does not exist"
        ) from None
    return entry.pw_uid, entry.pw_gid, os.getgrouplist(name, entry.pw_gid)
