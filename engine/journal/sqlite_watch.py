"""SQLite between processes: who committed something, and the log's upkeep."""

from __future__ import annotations

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
