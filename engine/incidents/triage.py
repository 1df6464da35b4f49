"""Takes accepted alerts to decisions: in batches, off the path of the sender's 2xx.

One round: read the undecided alerts, match rules and judge conditions (queries included) outside any
transaction, then claim and decide the batch in one. A crash in between leaves the alerts undecided and
the next round finds them; a decided alert is never decided again.

Where little comes in and no rule asks anybody outside, `hurry` decides in the commit that accepts.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.domain.alert import AlertStatus
from engine.domain.errors import NotFound, Refused, StoreUnavailable
from engine.domain.people import Actor
from engine.incidents.ahead import Ahead
from engine.incidents.batch import Batches, Counts, Decided, Postponed, Take
from engine.incidents.deciding import Deciding
from engine.incidents.following import Desk
from engine.incidents.matching import Match, Prepared, RuleBook, alert_scope
from engine.incidents.ports import CreateRun, OnOpened, OnResolved, QueryPort, leave_running
from engine.incidents.schedules import Firing
from engine.incidents.watchdog import Watchdog
from engine.journal.rows import AlertRow
from engine.journal.store import Store, Tx
from engine.language.rules import Rule
from engine.running.yielding import GiveWay, go_on

_LOG = logging.getLogger("stanch.triage")
BATCH = 100
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


def leave_to_workers(tx: Tx) -> Callable[[], None]:
    """Claim nothing."""
    del tx
    return lambda: None


@dataclass(frozen=True)
class _Look:
    """One reading of what waits."""

    now: datetime
    rows: Sequence[AlertRow]
    due: Sequence[Postponed]
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
        self._store = store
        self._book = RuleBook(rules)
        self._desk = Desk(create_run, on_resolved, settings.node, settings.max_alert_age, on_opened)
        self._batches = Batches(store, self._desk, query, take)
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
        self._hurried: deque[Counts] = deque()  # what is not in `counts` yet
        self.trouble: str | None = None  # why the last round of `serve` failed; None: it did not

    @property
    def counts(self) -> Counts:
        """What was decided since the start, by (verdict, reason)."""
        return self._batches.counts

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
        done = self._batches.fresh(self._book, self._ahead.first(look.rows))
        done += self._batches.postponed(self._book, look.due)
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

        def told(decided: Decided | None, _: BaseException | None) -> None:
            self._calm = decided is not None
            if decided is not None:
                counts, begin = decided
                begin()
                self._hurried.append(counts)

        self._store.hand_in(self._batches.hurried(self._book), told)

    def run_once(self, limit: int = BATCH) -> int:
        """Decide up to `limit` undecided alerts, oldest first; return how many."""
        rows = self._store.read(lambda tx: tx.alerts.undecided(limit))
        return self._batches.fresh(self._book, rows)

    def run_due(self, limit: int = BATCH) -> int:
        """Ask again about postponed alerts whose time has come; return how many."""
        return self._batches.postponed(self._book, self._store.read(lambda tx: _due(tx, limit)))

    def drain(self) -> int:
        """Tick until nothing is due any more (tests, rehearsals); return how much was done."""
        total = 0
        while done := self.tick():
            total += done
        return total

    def _look(self, tx: Tx) -> _Look:
        rows, due = tx.alerts.undecided(BATCH), _due(tx, BATCH)
        return _Look(tx.now(), rows, due, tx.decisions.next_due())

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


def _due(tx: Tx, limit: int) -> list[Postponed]:
    pairs = tx.decisions.due(limit)
    return [(tx.alerts.get(alert_id), alert_id, rule) for alert_id, rule in pairs]
