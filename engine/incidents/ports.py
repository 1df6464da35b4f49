"""What triage needs of others; wiring plugs it in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from engine.journal.rows import IncidentRow, PageRow
from engine.journal.store import Tx
from engine.language.program import Query
from engine.running.requests import RunRequest


class QueryPort(Protocol):
    """Asks a metrics connection."""

    def value(self, query: Query) -> float | None:
        """Return the first sample's value of an instant query, None for an empty vector.

        `query.params` are rendered already; they are bound as `$name` and escaped into label values.

        Raises:
            ActionFailed: the query could not be answered.
        """
        ...


CreateRun = Callable[[Tx, RunRequest], str]
"""Store a run in the caller's transaction and return its id.

Raises InvalidInput, NotFound or Refused (inputs, unknown playbook, policy) before it writes anything.
"""

OnResolved = Callable[[Tx, str, str], None]
"""(transaction, run id, `verify` | `note` | `cancel`): every alert of the run's episode has resolved."""

OnOpened = Callable[[Tx, IncidentRow], None]
"""(transaction, incident): it has just been opened; where people are to be called, they are called here."""


def leave_running(tx: Tx, run_id: str, how: str) -> None:
    """An `OnResolved` that leaves the run to itself."""
    del tx, run_id, how


class Pager(Protocol):
    """Tells people that something waits for them. Called again and again until somebody has seen it."""

    def page(self, page: PageRow) -> None:
        """Tell it, outside any transaction. The row is durable and says what, how urgent, how often told.

        What it raises is logged; the page then comes again when its level's time has passed.
        """
        ...
