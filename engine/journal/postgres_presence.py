"""Which workers' processes live, over PostgreSQL: advisory locks that end with their connection."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from engine.journal.postgres_server import Server, presence_key
from engine.journal.session import Broken, Row

if TYPE_CHECKING:
    import psycopg


class Presence:
    """Session advisory locks, one a worker of this process, on a connection of their own."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: psycopg.Connection[Row] | None = None
        self._held: set[str] = set()
        self._pid = os.getpid()

    def holds(self, worker: str) -> bool:
        return worker in self._held and self._pid == os.getpid()

    def enter(self, worker: str) -> bool:
        if self._pid != os.getpid():
            _orphans.append(self._connection)
            self._connection, self._held, self._pid = None, set(), os.getpid()
        import psycopg

        try:
            connection = self._alive()
            if worker in self._held:
                return True
            if not self._lock(connection, worker):
                return False
        except (psycopg.Error, Broken):
            return False  # no connection to spare: the lease alone decides
        self._held.add(worker)
        return True

    def _alive(self) -> psycopg.Connection[Row]:
        """The connection; where it was cut, a new one that takes up what the old one held."""
        import psycopg

        if self._connection is not None:
            try:
                self._connection.execute("SELECT 1")
            except psycopg.Error:
                self._connection.close()
                self._connection = None
        if self._connection is None:
            self._connection = self._server.connect("presence")
            self._held = {each for each in self._held if self._lock(self._connection, each)}
        return self._connection

    @staticmethod
    def _lock(connection: psycopg.Connection[Row], worker: str) -> bool:
        row = connection.execute(
            "SELECT pg_try_advisory_lock(%s)", (presence_key(worker),)
        ).fetchone()
        return bool(row and row[0])

    def left(self, worker: str) -> None:
        import psycopg

        if self.holds(worker) and self._connection is not None:
            self._held.discard(worker)
            try:
                self._connection.execute("SELECT pg_advisory_unlock(%s)", (presence_key(worker),))
            except psycopg.Error:
                self._connection.close()  # cut: the server lets go by itself

    def close(self) -> None:
        if self._connection is not None and self._pid == os.getpid():
            self._connection.close()


_orphans: list[object] = []
