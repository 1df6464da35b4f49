"""A batch of alerts: what is found out about them outside any transaction, and the one that decides them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from engine.domain.alert import AlertStatus
from engine.domain.errors import StoreUnavailable
from engine.incidents.conditions import Answers, Ask, Asks, nobody
from engine.incidents.deciding import Deciding
from engine.incidents.following import Desk
from engine.incidents.matching import Prepared, RuleBook, alert_scope, match, match_rule
from engine.incidents.ports import QueryPort
from engine.journal.rows import AlertRow
from engine.journal.store import Store, Tx
from engine.planning.decision import failed

HURRIED = 5  # alerts that the commit of a delivery takes along; the sender's answer waits for them

# Claims ready runs in the deciding transaction; what it returns begins them, once that is durable.
Take = Callable[[Tx], Callable[[], None]]

Postponed = tuple[AlertRow | None, str, str]  # the alert (None: pruned), its id, the rule
Counts = Counter[tuple[str, str]]  # by (verdict, reason)
Decided = tuple[Counts, Callable[[], None]]  # what was decided, and what begins the runs of it


class Batches:
    """Decides alerts together. An alert that cannot be decided is recorded as such and stops no other.

    Attributes:
        counts: what was decided since the start.
    """

    def __init__(self, store: Store, desk: Desk, query: QueryPort | None, take: Take) -> None:
        self._store = store
        self._desk = desk
        self._query = query
        self._take = take
        self.counts: Counts = Counter()

    def fresh(self, book: RuleBook, rows: Sequence[AlertRow]) -> int:
        """Decide alerts that nobody decided yet; return how many."""
        if not rows:
            return 0
        ask = Answers(self._query).ask
        return self._decide(book, [_prepared(book, row, ask) for row in rows])

    def postponed(self, book: RuleBook, due: Sequence[Postponed]) -> int:
        """Ask again about alerts whose rule had postponed them; return how many were there still."""
        if not due:
            return 0
        ask = Answers(self._query).ask
        prepared = []
        for row, alert_id, name in due:
            if row is None:
                self._store.write(_forget(alert_id, name))
            else:
                prepared.append(_prepared_again(book, row, name, ask))
        return self._decide(book, prepared)

    def hurried(self, book: RuleBook) -> Callable[[Tx], Decided | None]:
        """Return the unit of work that decides what waits where that is little and no rule asks anybody.

        None: it decided nothing, and wrote nothing.
        """

        def work(tx: Tx) -> Decided | None:
            rows = tx.alerts.undecided(HURRIED + 1)
            if not rows or len(rows) > HURRIED:
                return None
            try:
                prepared = [_prepared(book, row, nobody) for row in rows]
            except Asks:
                return None
            return self._work(book, prepared)(tx)

        return work

    def _decide(self, book: RuleBook, prepared: Sequence[Prepared]) -> int:
        if not prepared:
            return 0
        try:
            counts, begin = self._store.write(self._work(book, prepared))
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  one alert must never stop all the others
            if len(prepared) == 1:
                counts = self._store.write(_give_up(self._desk, book, prepared[0], error))
            else:
                return sum(self._decide(book, [one]) for one in prepared)
        else:
            begin()
        self.counts.update(counts)
        return len(prepared)

    def _work(self, book: RuleBook, prepared: Sequence[Prepared]) -> Callable[[Tx], Decided]:
        """Return the unit of work that decides a batch. It may be run more than once."""
        fresh = [one.row.id for one in prepared if one.postponed is None]

        def work(tx: Tx) -> Decided:
            tx.alerts.hold(one.row.alert for one in prepared)
            claimed = tx.alerts.claim(fresh) if fresh else frozenset()
            deciding = Deciding(tx, book, self._desk)
            for one in prepared:
                if one.postponed is not None or one.row.id in claimed:
                    deciding.alert(one)
            if claimed:
                tx.alerts.mark_decided(claimed)
            deciding.finish()
            return deciding.counts, self._take(tx)

        return work


def _prepared(book: RuleBook, row: AlertRow, ask: Ask) -> Prepared:
    if row.alert.status is AlertStatus.RESOLVED:
        return Prepared(row, {})
    scope = alert_scope(row)
    return Prepared(row, scope, match(book, row, scope, ask))


def _prepared_again(book: RuleBook, row: AlertRow, name: str, ask: Ask) -> Prepared:
    """As `_prepared`, for the one rule that postponed it; its condition must hold still."""
    rule, scope = book.rules.get(name), alert_scope(row)
    matches = () if rule is None else (match_rule(rule, scope, ask),)
    return Prepared(row, scope, matches, postponed=name)


def _forget(alert_id: str, rule: str) -> Callable[[Tx], bool]:
    return lambda tx: tx.decisions.done(alert_id, rule)


def _give_up(
    desk: Desk, book: RuleBook, prepared: Prepared, error: Exception
) -> Callable[[Tx], Counts]:
    """Record that deciding an alert failed for a reason of our own, and let the others go on."""
    what = f"deciding it failed: {type(error).__name__}: {error}"

    def work(tx: Tx) -> Counts:
        deciding = Deciding(tx, book, desk)
        if prepared.postponed is not None:
            tx.decisions.done(prepared.row.id, prepared.postponed)
        else:
            tx.alerts.mark_decided([prepared.row.id])
        deciding.record(prepared.row, prepared.postponed or "", failed(what))
        deciding.finish()
        return deciding.counts

    return work
