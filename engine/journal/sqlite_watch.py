"""SQLite between processes: which workers' processes live, who committed something, and the log's upkeep."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from engine.journal.session import Broken
from engine.journal.sqlite import connect
from engine.journal.wakes import TOPICS

log = logging.getLogger("stanch.journal")

POLL_SECONDS = 0.2
# About 1,000 pages of log, SQLite's own measure of when to copy it.
COMMITS = 300
ROWS = 3_000


class Presence:
    """Locked files beside the database, one a worker: the system frees the lock when the process dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: dict[str, int] = {}
        self._pid = os.getpid()

    def _file(self, worker: str) -> Path:
        name = hashlib.sha256(worker.encode()).hexdigest()[:24]
        return self._path.with_name(f"{self._path.name}-worker-{name}")

    def enter(self, worker: str) -> bool:
        if self._pid != os.getpid():
            self._held, self._pid = {}, os.getpid()
        if worker in self._held:
            return True
        try:
            descriptor = os.open(self._file(worker), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return False  # no such file can be made here: the lease alone decides
        if not _locked(descriptor):
            os.close(descriptor)
            return False
        self._held[worker] = descriptor
        return True

    def left(self, worker: str) -> None:
        descriptor = self._held.pop(worker, None)
        if descriptor is not None:
            self._file(worker).unlink(missing_ok=True)
            os.close(descriptor)

    def gone(self, worker: str) -> bool:
        if worker in self._held and self._pid == os.getpid():
            return False
        path = self._file(worker)
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        try:
            if not _locked(descriptor):
                return False
            path.unlink(missing_ok=True)
            return True
        finally:
            os.close(descriptor)

    def close(self) -> None:
        if self._pid == os.getpid():
            for worker in list(self._held):
                os.close(self._held.pop(worker))


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    return True


def watch(path: Path, tell: Callable[[Iterable[str]], None], stop: threading.Event) -> None:
    """Ask every 200 ms whether anybody committed, and tell. Ends when `stop` is set."""
    connection: sqlite3.Connection | None = None
    seen: int | None = None
    while not stop.wait(POLL_SECONDS):
        try:
            if connection is None:
                connection = connect(path)
            (version,) = connection.execute("PRAGMA data_version").fetchone()
        except (sqlite3.Error, Broken):
            if connection is not None:
                connection.close()
            connection, version = None, None
        if version != seen:
            seen = version
            tell(TOPICS)
    if connection is not None:
        connection.close()


class Checkpointer:
    """Copies the write-ahead log into the file, beside the writer instead of within somebody's commit."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._due = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._commits = 0
        self._rows = 0

    def wrote(self, rows: int) -> None:
        """Told by the writer after each commit, with the rows that it changed."""
        self._commits += 1
        self._rows += rows
        if self._commits < COMMITS and self._rows < ROWS:
            return
        self._commits = self._rows = 0
        if self._thread is None or self._pid != os.getpid():  # first time, also in a forked child
            self._pid = os.getpid()
            self._thread = threading.Thread(target=self._serve, name="checkpoint", daemon=True)
            self._thread.start()
        self._due.set()

    def _serve(self) -> None:
        connection: sqlite3.Connection | None = None
        while True:
            self._due.wait()
            self._due.clear()
            if self._stopped:
                break
            try:
                connection = connection or connect(self._path)
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except (sqlite3.Error, Broken) as error:
                log.warning("the log of %s could not be copied into it yet: %s", self._path, error)
        if connection is not None:
            connection.close()

    def close(self) -> None:
        self._stopped = True
        self._due.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join()
