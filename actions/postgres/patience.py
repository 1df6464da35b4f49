"""A connection that waits no longer than it was told for a server that has stopped answering.

The server itself ends statements that take too long. What it cannot do is answer when it hangs, and libpq
waits for that without an end.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.errors import _WaitTimeout


class PatientConnection(psycopg.Connection[Any]):
    """A connection with `patience`: the seconds that the server has for one exchange."""

    patience: float | None = None

    def wait(self, gen: Any, *given: Any, **named: Any) -> Any:
        """Wait for an exchange to end. See `psycopg.Connection.wait`.

        Raises:
            psycopg.OperationalError: the server did not answer in time; the connection is closed.
        """
        named.setdefault("timeout", self.patience)
        try:
            return super().wait(gen, *given, **named)
        except _WaitTimeout:
            self.pgconn.finish()  # its answer may yet come, and would be taken for the next one's
            what = f"no answer within {named['timeout']:g} s"
            raise psycopg.OperationalError(what) from None
