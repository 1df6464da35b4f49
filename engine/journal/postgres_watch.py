"""PostgreSQL between nodes: who committed something."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from engine.journal.postgres_server import CHANNEL, Server
from engine.journal.session import Broken, Row
from engine.journal.wakes import TOPICS

if TYPE_CHECKING:
    import psycopg

POLL_SECONDS = 1.0


def watch(
    server: Server, node: str, tell: Callable[[Iterable[str]], None], stop: threading.Event
) -> None:
    """Tell what other nodes notify, and everything once a second in case a notification was lost."""
    import psycopg

    connection: psycopg.Connection[Row] | None = None
    slow = time.monotonic()
    while not stop.is_set():
        try:
            if connection is None:
                connection = server.connect("listener")
                connection.execute(f"LISTEN {CHANNEL}")
            for note in connection.notifies(timeout=0.2, stop_after=1):
                sender, *topics = note.payload.split()
                if sender != node:
                    tell([topic for topic in topics if topic in TOPICS])
        except (psycopg.Error, Broken):
            if connection is not None:
                connection.close()
                connection = None
            stop.wait(0.5)
        if time.monotonic() - slow >= POLL_SECONDS:
            slow = time.monotonic()
            tell(TOPICS)
    if connection is not None:
        connection.close()
