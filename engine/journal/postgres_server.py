"""PostgreSQL as the journal's server: its address, connections with the settings that matter, its failures."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import URL

from engine.journal.session import Broken, Row

if TYPE_CHECKING:
    import psycopg

CHANNEL = "stanch"
OLDEST = 130000  # pg_current_xact_id and pg_xact_status need PostgreSQL 13
WRITE_SECONDS = 30  # a statement of the writer that takes longer is given up: others wait behind it

# SQLSTATEs after which the same work may succeed: serialisation failure, deadlock, lock not available.
_AGAIN = {"40001", "40P01", "55P03"}
# Classes and codes that say the server cannot serve writes now: resources, operator, system, read-only.
_AWAY = ("53", "58", "57P", "25006", "57014", "08", "XX")


def conninfo(url: URL) -> str:
    """Return the address in the form that the driver reads."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def shown(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=True)


class Server:
    """Where the database is, and how connections to it are opened."""

    def __init__(self, url: URL, busy: float) -> None:
        self.name = shown(url)
        self._address = conninfo(url)
        self._given = set(url.query)
        self._busy = busy

    def connect(self, what: str) -> psycopg.Connection[Row]:
        """Open a connection in autocommit, with the settings that the promises rest on. Raises Broken."""
        import psycopg

        # Noticing a silent cut within seconds; whoever wrote one of these into the URL knows better.
        wanted = {
            "connect_timeout": 5,
            "application_name": f"stanch {what}",
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 15000,
        }
        chosen: dict[str, Any] = {k: v for k, v in wanted.items() if k not in self._given}
        try:
            connection = psycopg.connect(self._address, autocommit=True, **chosen)
            if connection.info.server_version < OLDEST:
                connection.close()
                raise Broken(
                    f"{self.name} is older than PostgreSQL 13; use 13 or later", again=False
                )
            connection.execute(
                f"SET synchronous_commit = on; SET TIME ZONE 'UTC'; "
                f"SET lock_timeout = {int(self._busy * 1000)}; "
                f"SET statement_timeout = {WRITE_SECONDS * 1000 if what == 'writer' else 0}; "
                "SET idle_in_transaction_session_timeout = 60000"
            )
        except psycopg.Error as error:
            raise self.away(error) from None
        return connection

    def away(self, error: Exception, *, again: bool = False) -> Broken:
        text = " ".join(str(error).split())
        return Broken(
            f"the journal {self.name} cannot be used: {text}. Nothing was kept; "
            "look whether the server runs and accepts writes",
            again=again,
        )

    def broken(self, connection: psycopg.Connection[Row], error: psycopg.Error) -> Broken | None:
        """Return what to raise where the database is the trouble, None for a wrong statement."""
        state = error.sqlstate or ""
        if connection.closed:
            return self.away(error, again=True)
        if state in _AGAIN:
            return self.away(error, again=True)
        if state.startswith(_AWAY):
            return self.away(error)
        return None


def lock_key(name: str) -> int:
    """Return the 64-bit number of an advisory lock."""
    return int.from_bytes(hashlib.sha256(f"stanch {name}".encode()).digest()[:8], signed=True)


def presence_key(worker: str) -> int:
    """Return the number of the lock that says that a worker's process lives."""
    return lock_key(f"worker {worker}")
