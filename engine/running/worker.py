"""A worker: claims ready runs by priority and drives them on a pool of threads, under a lease."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from engine.domain.entry import StoredEntry
from engine.domain.errors import StaleOwner, StoreUnavailable
from engine.domain.ids import new_id
from engine.journal.rows import RunRow
from engine.journal.store import Tx
from engine.running.crew import Crew, Owned
from engine.running.ending import Ending
from engine.running.forgetting import forget
from engine.running.paging import needs_human
from engine.running.programs import Programs
from engine.running.services import Services
from engine.running.session import Session
from engine.running.stepper import Stepper
from engine.running.strays import Strays
from engine.running.yielding import GiveWay, go_on

log = logging.getLogger("stanch.worker")
_TIDY = 60.0  # seconds between two times that rounds by hand forget what is old
_APART = 0.005  # seconds from one claim to the next while runs are driven: it is their time, too


# A run, and its chain where nobody owned it before.
Claimed = tuple[RunRow, Sequence[StoredEntry] | None]
# Whether the worker still has its name; runs taken over from others; runs that stray, and were let go.
Beat = tuple[bool, Sequence[str], tuple[frozenset[Owned], list[str]]]


class Worker:
    """Owns runs while its lease lasts. `step` does one round by hand (tests, rehearsals); `start` runs threads."""

    def __init__(
        self,
        services: Services,
        *,
        threads: int = 8,
        lease: float = 5.0,
        give_way: GiveWay = go_on,
    ) -> None:
        self.id = new_id("worker")
        self._services = services
        self.programs = Programs(services.store, services.connections.tally)
        self._threads = threads
        self._lease = lease
        self._give_way = give_way
        self._wake = threading.Event()
        self._claimed_at = float(
            "-inf"
        )  # when runs were last claimed, on the system's monotonic time
        self._stop = threading.Event()
        self._tidied: float | None = None  # on the clock's monotonic time
        self._strays = Strays()
        self._crew = Crew(threads, self._wake.set)
        self._loop: threading.Thread | None = None
        self._heart: threading.Thread | None = None
        self._unlisten: Callable[[], None] = lambda: None

    # ------------------------------------------------------------ by hand

    def step(self) -> int:
        """Fire due timers, claim what is ready and drive it here and now; return how many runs were driven."""

        def work(tx: Tx) -> list[Claimed]:
            tx.workers.beat(self.id, self._lease)
            self._tidy(tx)
            tx.timers.fire()
            return self._claim(tx, self._threads)

        claimed = self._services.store.write(work)
        for row, entries in claimed:
            ended = self.drive(row, entries)
            if ended is not None:
                ended.wait()
        return len(claimed)

    def _tidy(self, tx: Tx) -> None:
        """Forget what is old, now and then: rounds by hand may come by the thousand."""
        now = self._services.clock.monotonic()
        if self._tidied is None or now - self._tidied >= _TIDY:
            self._tidied = now
            forget(tx, self._services.retention)

    def drive(self, row: RunRow, entries: Sequence[StoredEntry] | None = None) -> Ending | None:
        """Drive one claimed run as far as it goes; whatever happens, it is left so that it can be resumed.

        Returns:
            The run's end on its way to disk, or None where it did not end.
        """
        services = self._services
        try:
            session = Session(
                services.store,
                row,
                self.programs.get(row.program),
                services.clock,
                services.connections.redact,
                services.observe,
            )
            session.load(entries)
            stepper = Stepper(services, session, self._crew.steps(row))
            stepper.drive()
        except StaleOwner:
            log.warning("run %s was taken over by another worker; this one lets go", row.id)
        except StoreUnavailable as error:
            log.warning(
                "run %s: the journal cannot be written (%s); it is resumed later", row.id, error
            )
            self._give_back(row)
        except Exception:
            log.exception("run %s: a fault of the engine; a person must look", row.id)
            self._fault(row)
        else:
            return stepper.ended
        return None

    def _give_back(self, row: RunRow) -> None:
        """Keep trying to hand the run back; when the lease runs out first, another owner takes it anyway."""
        while not self._stop.wait(0.5):
            try:
                self._services.store.write(
                    lambda tx: tx.runs.release(row.id, row.epoch, ready=True)
                )
            except StoreUnavailable:
                continue
            except StaleOwner:
                pass
            return

    def _fault(self, row: RunRow) -> None:
        from engine.domain.entry import Entry
        from engine.domain.run import RunState

        reason = "the engine itself failed; see its log. stanch retry resumes the run"

        def write(tx: Tx) -> None:
            tx.journal.append(
                row.id,
                [Entry("run.signal", {"signal": "stuck", "reason": reason, "actor": "stanch"})],
                epoch=row.epoch,
            )
            tx.runs.update(row.id, row.epoch, state=RunState.NEEDS_HUMAN, reason=reason)
            needs_human(tx, row, reason)
            tx.runs.release(row.id, row.epoch)

        try:
            self._services.store.write(write)
        except (StaleOwner, StoreUnavailable):
            log.warning("run %s: the fault could not be recorded", row.id)

    def _claim(self, tx: Tx, limit: int, p0: int = 0) -> list[Claimed]:
        """Claim runs; the chain of one that nobody owned before is short and is read along."""
        rows = tx.runs.claim(self.id, limit, p0)
        return [self._claimed(tx, row) for row in rows]

    def _claimed(self, tx: Tx, row: RunRow) -> Claimed:
        return row, tx.journal.read(row.id) if row.epoch == 1 else None

    # ------------------------------------------------------------ with threads

    def start(self) -> None:
        """Begin to claim and drive in the background."""
        # What a killed process left behind is taken over at once, not when its lease would run out.
        self._services.store.write(
            lambda tx: (tx.workers.beat(self.id, self._lease), tx.workers.recover())
        )
        self._unlisten = self._services.store.listen(self._notified)
        self._loop = threading.Thread(target=self._serve, name="worker", daemon=True)
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._loop.start()
        self._heart.start()

    def stop(self) -> None:
        """Finish the steps in flight, hand the runs back, leave."""
        self._stop.set()
        self._wake.set()
        self._unlisten()
        if self._loop is not None:
            self._loop.join()
        self._crew.leave()
        if self._heart is not None:
            self._heart.join()
        try:
            self._services.store.write(lambda tx: tx.workers.leave(self.id))
        except StoreUnavailable:
            log.warning("the worker's leave could not be recorded; its lease runs out by itself")

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def _notified(self, topic: str) -> None:
        if topic == "runs" and not self._wake.is_set():
            self._wake.set()

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._give_way(self._stop)
            try:
                claimed, pause = self._round()
            except StoreUnavailable as error:
                log.warning("the journal is away: %s", error)
                self._stop.wait(0.5)
                continue
            if not claimed:
                self._wake.wait(pause)
            early = self._claimed_at + _APART - time.monotonic()
            if early > 0 and self._crew.driven():
                self._stop.wait(early)
            self._wake.clear()

    def _round(self) -> tuple[int, float]:
        free, p0 = self._crew.room
        if free + p0 <= 0:
            return 0, 0.5

        def work(tx: Tx) -> tuple[list[Claimed], float]:
            tx.timers.fire()
            rows = self._claim(tx, free, p0)
            following = tx.timers.next()
            pause = 1.0
            if following is not None:
                pause = min(pause, max(0.0, (following - tx.now()).total_seconds()))
            return rows, pause

        claimed, pause = self._services.store.write(work)
        self._begin(claimed)
        return len(claimed), pause

    def take(self, tx: Tx) -> Callable[[], None]:
        """Claim what is ready in the transaction of somebody who just made it ready: one commit less
        between an alert and its effect.

        Returns:
            What begins to drive them; to be called once the transaction is durable.
        """
        claimed = [] if self._stop.is_set() else self._claim(tx, *self._crew.room)
        return lambda: self._begin(claimed)

    def _begin(self, claimed: Sequence[Claimed]) -> None:
        self._claimed_at = time.monotonic()
        for row, entries in claimed:
            self._crew.begin(row, partial(self._driven, row, entries))

    def _driven(self, row: RunRow, entries: Sequence[StoredEntry] | None) -> None:
        ended = self.drive(row, entries)
        if ended is not None:
            ended.then(lambda error: self._unended(row, error))

    def _unended(self, row: RunRow, error: BaseException | None) -> None:
        """The end of a run could not be written: what it did is asked about by its next owner."""
        if error is None or self._stop.is_set():
            return
        log.warning("run %s: its end could not be written (%s); it is resumed later", row.id, error)
        if not isinstance(error, StaleOwner):
            self._crew.also(partial(self._give_back, row))

    def _beat(self) -> None:
        while not self._stop.wait(self._lease / 3):
            driven = self._crew.driven()

            def work(tx: Tx, driven: frozenset[Owned] = driven) -> Beat:
                alive = tx.workers.beat(self.id, self._lease)
                forget(tx, self._services.retention)
                return alive, tx.workers.recover(), self._strays.let_go(tx, self.id, driven)

            try:
                alive, recovered, (strays, let_go) = self._services.store.write(work)
            except StoreUnavailable:
                continue
            self._strays.saw(strays)
            if not alive:
                # Declared dead after a long stop: the runs have other owners by now, and fencing keeps
                # this worker's writes out. It goes on under a new name.
                log.warning("worker %s was declared dead; it goes on as a new one", self.id)
                self.id = new_id("worker")
            if recovered:
                log.info("took over %d runs of a worker that is gone", len(recovered))
                self._wake.set()
            if let_go:
                log.warning("let go of runs whose claim was kept and never told: %s", let_go)
                self._wake.set()
