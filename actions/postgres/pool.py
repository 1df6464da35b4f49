"""Connections that are open and idle, by DSN."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actions.postgres.patience import PatientConnection

Idle = dict[str, list["PatientConnection"]]


class Pool:
    """Keeps idle connections until it is closed. Safe to share between threads.

    Args:
        lent: connections of somebody who keeps them open for the next client; they are not closed here.
    """

    def __init__(self, lent: Idle | None = None) -> None:
        self._idle: Idle = {} if lent is None else lent
        self._lent = lent is not None
        self._lock = threading.Lock()
        self._closed = False

    def take(self, dsn: str) -> PatientConnection | None:
        """Return an idle connection, if there is one."""
        with self._lock:
            idle = self._idle.get(dsn)
            return idle.pop() if idle else None

    def give_back(self, dsn: str, connection: PatientConnection | None) -> None:
        """Roll back what is open and keep the connection for later, unless it is broken."""
        import psycopg
        from psycopg.pq import TransactionStatus

        if connection is None:
            return
        try:
            if connection.info.transaction_status is not TransactionStatus.IDLE:
                connection.execute(b"ROLLBACK")
        except psycopg.Error:
            connection.close()
        with self._lock:
            if not connection.closed and not self._closed:
                self._idle.setdefault(dsn, []).append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        with self._lock:
            self._closed = True
            if self._lent:
                return
            idle = [connection for several in self._idle.values() for connection in several]
            self._idle.clear()
        for connection in idle:
            connection.close()
