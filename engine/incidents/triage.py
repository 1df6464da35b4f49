"""Takes accepted alerts to decisions: in batches, off the path of the sender's 2xx.

One round: read the undecided alerts, match rules and judge conditions (queries included) outside any
transaction, then claim and decide the batch in one. A crash in between leaves the alerts undecided and
the next round finds them; a decided alert is never decided again.

Where little comes in and no rule asks anybody outside, `hurry` decides in the commit that accepts.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.domain.alert import AlertStatus
from engine.domain.errors import NotFound, Refused, StoreUnavailable
from engine.domain.people import Actor
from engine.incidents.ahead import Ahead
from engine.incidents.conditions import Answers, Asks, Unasked
from engine.incidents.deciding import Deciding, Desk
from engine.incidents.matching import (
    Match,
    Prepared,
    RuleBook,
    alert_scope,
    match,
    match_rule,
)
from engine.incidents.ports import CreateRun, OnOpened, OnResolved, QueryPort, leave_running
from engine.incidents.schedules import Firing
from engine.incidents.watchdog import Watchdog
from engine.journal.rows import AlertRow
from engine.journal.store import Store, Tx
from engine.language.rules import Rule
from engine.planning.decision import failed
from engine.running.yielding import GiveWay, go_on

_LOG = logging.getLogger("stanch.triage")
BATCH = 100
HURRIED = 20  # alerts that the commit of a delivery takes along; the sender's answer waits for them
_SLOWEST = 1.0  # seconds between looks, whatever wakes us or not
_BACK_OFF = 0.5
_AFTER = 0.01  # seconds to let runs begin that a hurried decision made, before the next look


@dataclass(frozen=True)
class TriageSettings:
    """How alerts are decided.

    Attributes:
        node: names this node's own journal chain.
        max_alert_age: seconds; older alerts are asked about instead of acted on. None: never.
        watchdog: the alertname of the dead man's switch and the seconds after which it is missed.
    """

    node: str = "local"
    max_alert_age: float | None = 6 * 3600.0
    watchdog: tuple[str, float] | None = None


# Claims ready runs in the deciding transaction; what it returns begins them, once that is durable.
Take = Callable[[Tx], Callable[[], None]]


def leave_to_workers(tx: Tx) -> Callable[[], None]:
    """Claim nothing."""
    del tx
    return lambda: None


_Pair = tuple[AlertRow | None, str, str]  # the alert, its id, the rule
_Decided = tuple[
    Counter[tuple[str, str]], Callable[[], None]
]  # what was decided, what begins its runs


@dataclass(frozen=True)
class _Look:
    """One reading of what waits."""

    now: datetime
    rows: Sequence[AlertRow]
    due: Sequence[_Pair]
    next_due: datetime | None


class Triage:
    """The rules at work. `tick` does what is due now; `serve` calls it whenever something may be.

    Parameters:
        create_run: stores a run in the deciding transaction.
        query: asks metrics connections, for conditions and query triggers.
        take: claims runs for this process's worker along with the decision that made them.
        on_resolved: told when every alert of a run's episode has resolved.
        on_opened: told of every new incident; None: nobody asks.
    """

    def __init__(
        self,
        store: Store,
        rules: Sequence[Rule],
        create_run: CreateRun,
        *,
        query: QueryPort | None = None,
        on_resolved: OnResolved = leave_running,
        on_opened: OnOpened | None = None,
        settings: TriageSettings = TriageSettings(),
        give_way: GiveWay = go_on,
        take: Take = leave_to_workers,
    ) -> None:
        self._give_way = give_way
        self._take = take
        self._store = store
        self._book = RuleBook(rules)
        self._query = query
        self._desk = Desk(create_run, on_resolved, settings.node, settings.max_alert_age, on_opened)
        self._ahead = Ahead(store)
        self._firing = Firing(store, self._desk, query)
        self._watchdog = (
            Watchdog(store, *settings.watchdog, on_opened)
            if settings.watchdog is not None
            else None
        )
        self._wake = threading.Event()
        self._calm = False  # whether what last came was decided in hurry: nothing waits for a look
        self._rest = 0.0  # seconds until something is due by itself, as of the last tick
        self.next_due: datetime | None = (
            None  # when something is due by itself, as of the last tick
        )
        self.counts: Counter[tuple[str, str]] = Counter()  # (verdict, reason) since the start
        self._hurried: deque[Counter[tuple[str, str]]] = deque()  # not in `counts` yet
        self.trouble: str | None = None  # why the last round of `serve` failed; None: it did not

    def reload(self, rules: Sequence[Rule]) -> None:
        """Use these rules from the next round on; runs in flight keep what they froze."""
        self._book = RuleBook(rules)
        self._wake.set()

    def wake(self) -> None:
        """Look again now."""
        self._wake.set()

    # ------------------------------------------------------------ rounds

    def tick(self) -> int:
        """Do everything that is due; return how much that was.

        Raises:
            StoreUnavailable: nothing of the failed part was kept; it is due again.
        """
        while self._hurried:
            self.counts.update(self._hurried.popleft())
        look = self._store.read(self._look)
        if len(look.rows) == BATCH:
            self._urgent()
        done = self._fresh(self._ahead.first(look.rows)) + self._postponed(look.due)
        done += self._firing.tick(self._book, look.now, self.counts)
        if self._watchdog is not None:
            done += self._watchdog.tick(look.now)
        times = [time for time in (look.next_due, self._firing.next_due) if time is not None]
        self.next_due = min(times, default=None)
        self._rest = max(0.001, (min(times) - look.now).total_seconds()) if times else _SLOWEST
        return done

    def hurry(self) -> None:
        """Decide what the delivery brings that was handed in just before, in the commit that accepts it.

        That is a commit and a thread's wake-up less between an alert and its effect. Where a rule wants a
        query, much waits, or deciding fails, the alerts stay undecided and `tick` takes them. Never waits.

        Raises:
            StoreUnavailable: the store is closed.
        """
        book = self._book

        def work(tx: Tx) -> _Decided | None:
            rows = tx.alerts.undecided(HURRIED + 1)
            if not rows or len(rows) > HURRIED:
                return None
            try:
                prepared = [self._prepare(book, row, Unasked()) for row in rows]
            except Asks:
                return None
            return self._work(book, prepared)(tx)

        def told(decided: _Decided | None, _: BaseException | None) -> None:
            self._calm = decided is not None
            if decided is not None:
                counts, begin = decided
                begin()
                self._hurried.append(counts)

        self._store.hand_in(work, told)

    def run_once(self, limit: int = BATCH) -> int:
        """Decide up to `limit` undecided alerts, oldest first; return how many."""
        return self._fresh(self._store.read(lambda tx: tx.alerts.undecided(limit)))

    def run_due(self, limit: int = BATCH) -> int:
        """Ask again about postponed alerts whose time has come; return how many."""
        return self._postponed(self._store.read(lambda tx: _due(tx, limit)))

    def drain(self) -> int:
        """Tick until nothing is due any more (tests, rehearsals); return how much was done."""
        total = 0
        while done := self.tick():
            total += done
        return total

    def _look(self, tx: Tx) -> _Look:
        rows, due = tx.alerts.undecided(BATCH), _due(tx, BATCH)
        return _Look(tx.now(), rows, due, tx.decisions.next_due())

    def _fresh(self, rows: Sequence[AlertRow]) -> int:
        if not rows:
            return 0
        book, answers = self._book, Answers(self._query)
        return self._decide(book, [self._prepare(book, row, answers) for row in rows])

    def _postponed(self, due: Sequence[_Pair]) -> int:
        if not due:
            return 0
        book, answers = self._book, Answers(self._query)
        prepared = []
        for row, alert_id, name in due:
            if row is None:  # the alert was pruned
                self._store.write(_forget(alert_id, name))
            else:
                prepared.append(self._prepare_again(book, row, name, answers))
        return self._decide(book, prepared)

    def serve(self, stop: threading.Event) -> None:
        """Tick until `stop` is set: at once when the store says that something came, else when due."""
        unlisten = self._store.listen(self._heard)
        try:
            while not stop.is_set():
                if self._calm:
                    self._calm = stop.wait(_AFTER)
                self._wake.clear()
                try:
                    self._give_way(stop, self._urgent)
                    if self.tick():
                        self.trouble = None
                        continue
                    pause = min(_SLOWEST, self._rest)
                    self.trouble = None
                except StoreUnavailable as error:
                    pause = _BACK_OFF  # what is undecided stays undecided
                    self.trouble = str(error)
                except Exception as error:  # noqa: BLE001  deciding must outlive any one mistake
                    pause = _BACK_OFF
                    self.trouble = f"{type(error).__name__}: {error}"
                    _LOG.exception("triage goes on after an error of its own")
                self._wake.wait(pause)
        finally:
            unlisten()

    def _urgent(self) -> bool:
        return self._ahead.look(self._book)

    def _heard(self, topic: str) -> None:
        if topic in ("alerts", "runs") and not self._wake.is_set():
            self._wake.set()

    def due_without_queries(self) -> datetime | None:
        """When something is due by itself, as of now: an alert that waits, or a schedule."""
        waits = self._store.read(lambda tx: tx.decisions.next_due())
        fires = self._firing.next_of(self._book, queries=False)
        return min((time for time in (waits, fires) if time is not None), default=None)

    # ------------------------------------------------------------ before the transaction

    def _prepare(self, book: RuleBook, row: AlertRow, answers: Answers) -> Prepared:
        if row.alert.status is AlertStatus.RESOLVED:
            return Prepared(row, {})
        scope = alert_scope(row)
        return Prepared(row, scope, match(book, row, scope, answers.ask))

    def _prepare_again(
        self, book: RuleBook, row: AlertRow, name: str, answers: Answers
    ) -> Prepared:
        """As `_prepare`, for the one rule that postponed it; its condition must hold still."""
        rule, scope = book.rules.get(name), alert_scope(row)
        matches = () if rule is None else (match_rule(rule, scope, answers.ask),)
        return Prepared(row, scope, matches, postponed=name)

    # ------------------------------------------------------------ the transaction

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

    def _work(self, book: RuleBook, prepared: Sequence[Prepared]) -> Callable[[Tx], _Decided]:
        """Return the unit of work that decides a batch. It may be run more than once.

        It returns what was decided, and what begins the runs that were claimed along.
        """
        fresh = [one.row.id for one in prepared if one.postponed is None]

        def work(tx: Tx) -> _Decided:
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

    # ------------------------------------------------------------ people

    def act(self, alert_id: str, actor: Actor, rule: str | None = None) -> str:
        """Run a rule's playbook for an alert because a person says so; return the run's id.

        Age, windows, throttle and brakes play no part: they were what the person was asked about.

        Parameters:
            rule: its name; None: the first rule whose matchers take the alert.

        Raises:
            NotFound: no such alert or rule, or no rule takes the alert. Refused: a run of its episode
            is at work. InvalidInput: the run cannot be made.
        """
        book = self._book

        def work(tx: Tx) -> str:
            row = tx.alerts.get(alert_id)
            if row is None:
                raise NotFound(f"there is no alert {alert_id}")
            chosen = _chosen(book, row, rule)
            if row.alert.status is AlertStatus.RESOLVED:
                raise Refused(
                    f"alert {alert_id} is a resolved one; nothing is repaired on resolved"
                )
            deciding = Deciding(tx, book, self._desk)
            prepared = Prepared(row, alert_scope(row), (Match(chosen),))
            run_id = deciding.act(prepared, chosen, actor)
            deciding.finish()
            return run_id

        return self._store.write(work)


def _chosen(book: RuleBook, row: AlertRow, name: str | None) -> Rule:
    if name is not None:
        if name not in book.rules:
            raise NotFound(f"there is no rule {name}")
        return book.rules[name]
    candidates = book.candidates(row.alert.labels)
    if not candidates:
        raise NotFound(f"no rule takes alert {row.id} ({row.alert.name}); name a playbook instead")
    return candidates[0]


def _due(tx: Tx, limit: int) -> list[_Pair]:
    pairs = tx.decisions.due(limit)
    return [(tx.alerts.get(alert_id), alert_id, rule) for alert_id, rule in pairs]


def _forget(alert_id: str, rule: str) -> Callable[[Tx], bool]:
    return lambda tx: tx.decisions.done(alert_id, rule)


def _give_up(
    desk: Desk, book: RuleBook, prepared: Prepared, error: Exception
) -> Callable[[Tx], Counter[tuple[str, str]]]:
    """Record that deciding an alert failed for a reason of our own, and let the others go on."""
    what = f"deciding it failed: {type(error).__name__}: {error}"

    def work(tx: Tx) -> Counter[tuple[str, str]]:
        deciding = Deciding(tx, book, desk)
        if prepared.postponed is not None:
            tx.decisions.done(prepared.row.id, prepared.postponed)
        else:
            tx.alerts.mark_decided([prepared.row.id])
        deciding.record(prepared.row, prepared.postponed or "", failed(what))
        deciding.finish()
        return deciding.counts

    return work
