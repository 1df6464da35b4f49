"""Looks past what waits for its decision, so that a P0 in a storm is decided before what came earlier.

Alerts are decided oldest first, some at a time. In a burst that alone would let a P0 wait for hundreds of others,
each of which costs a transaction more than a look at it does.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain.alert import AlertStatus
from engine.domain.canonical import JsonObject
from engine.domain.errors import StanchError
from engine.domain.incident import PRIORITIES
from engine.incidents.matching import RuleBook, alert_scope, priority_of
from engine.journal.rows import AlertRow
from engine.journal.store import Store
from engine.language.rules import Rule

_MOST = 1000  # alerts of one look
_P0 = PRIORITIES["P0"]


class Ahead:
    """What was found ahead. One triage has one; it looks at each waiting alert once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._book: RuleBook | None = None
        self._may: frozenset[str] = frozenset()
        self._seen = 0
        self._urgent: dict[str, AlertRow] = {}
        self._had_its_turn = False

    def look(self, book: RuleBook) -> bool:
        """Look at what came since the last look; tell whether a P0 waits to be decided.

        Raises:
            StoreUnavailable: it cannot be read; the next look begins where this one did.
        """
        if book is not self._book:
            self._book, self._seen, self._urgent = book, 0, {}
            self._may = frozenset(name for name, rule in book.rules.items() if _may_be(rule))
        if not self._may:
            return False
        seen = self._seen
        rows, self._seen = self._store.read(lambda tx: tx.alerts.ahead(seen, _MOST))
        self._urgent |= {row.id: row for row in rows if self._is_urgent(book, row)}
        return bool(self._urgent)

    def first(self, rows: Sequence[AlertRow]) -> Sequence[AlertRow]:
        """Return what is decided next: the urgent ones alone, every other time at most, else `rows`.

        By themselves they are decided soonest; taking turns they starve nobody, however many there are.
        """
        if self._urgent and not self._had_its_turn:
            urgent = [*self._urgent.values()][:_MOST]
            self._urgent.clear()
            self._had_its_turn = True
            return urgent
        self._had_its_turn = False
        for row in rows:
            self._urgent.pop(row.id, None)
        return rows

    def _is_urgent(self, book: RuleBook, row: AlertRow) -> bool:
        """Whether some rule would make a P0 of it; a resolved alert keeps its place in the order."""
        if row.alert.status is AlertStatus.RESOLVED:
            return False
        rules = [rule for rule in book.candidates(row.alert.labels) if rule.name in self._may]
        if not rules:
            return False
        scope = alert_scope(row)
        return any(_is_p0(rule, scope) for rule in rules)


def _may_be(rule: Rule) -> bool:
    return any(name == "P0" and case is not False for name, case in rule.priority.cases)


def _is_p0(rule: Rule, scope: JsonObject) -> bool:
    try:
        return priority_of(rule, scope) == _P0
    except StanchError:
        return False  # deciding it says what is wrong
