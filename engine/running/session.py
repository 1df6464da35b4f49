"""One owner's hold on one run: what is folded, what is still to be written, and the fenced way to write it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import Clock, format_time
from engine.domain.entry import Entry, StoredEntry
from engine.domain.run import RunState, advance
from engine.journal.rows import MeasureRow, RunRow
from engine.journal.store import Store, Tx
from engine.language.program import Program
from engine.planning.document import PlanDocument
from engine.planning.fold import fold
from engine.planning.progress import RunProgress
from engine.planning.scope import RunFacts
from engine.running.duplicates import note_done
from engine.running.ending import Ending
from engine.running.measuring import Spent, rows_of

B = TypeVar("B")

# What happened outside. All else that is noted can be worked out again after a crash.
_RISKED = frozenset({"step.applied", "step.outcome", "undo.outcome", "gate.opened", "gate.closed"})


# What a person said that keeps a guarded entry from being written.
_STOPS = frozenset({"hold", "takeover", "cancel", "preempt"})


class _Stopped(Exception):
    """A person stopped the run in the very moment of an intent: the transaction is rolled back.

    Attributes:
        foreign: what others appended, their word among it.
    """

    def __init__(self, foreign: Sequence[StoredEntry]) -> None:
        super().__init__("stopped")
        self.foreign = foreign


@dataclass(frozen=True)
class Written(Generic[B]):
    """What a guarded write came to: the guard's objection, or None where all was written.

    `stopped`: a person's word came first; the guarded entry was not written.
    """

    blocked: B | None
    stopped: bool = False


class Session:
    """Progress, and the entries that are not durable yet.

    `note` folds an entry at once and writes it with the next `flush`; nothing outside may happen in
    between. Threads of one run share a session; its lock covers the fold and the write.
    """

    def __init__(
        self,
        store: Store,
        row: RunRow,
        program: Program,
        clock: Clock,
        redact: Callable[[Json], Json],
        observe: Callable[[Program, RunRow, Sequence[Entry], datetime], None] | None = None,
    ) -> None:
        self.store = store
        self.row = row
        self.program = program
        self.clock = clock
        self.progress = RunProgress(state=row.state)
        self.document: PlanDocument | None = None
        self.ending = False  # the next flush ends the run
        self.lock = threading.RLock()
        self._redact = redact
        self._observe = observe
        self._pending: list[Entry] = []
        self._extras: list[Callable[[Tx], None]] = []
        self._durable = 0
        self.spent = Spent()
        self.facts = _facts(row)

    # ------------------------------------------------------------ reading

    def load(self, entries: Sequence[StoredEntry] | None = None) -> None:
        """Fold the run's chain and fetch the plan in force.

        Args:
            entries: the chain, where it was read with the claim: of a run that nobody owned before.
        """
        plan: Json = None
        if entries is None:
            entries, plan = self.store.read(self._read_all)
        for entry in entries:
            fold(self.progress, entry.kind, entry.body, entry.at, entry.n)
        self._durable = self.progress.n
        self.progress.state = self.row.state
        self.document = None if plan is None else PlanDocument.from_json(plan)

    def _read_all(self, tx: Tx) -> tuple[Sequence[StoredEntry], Json]:
        entries = tx.journal.read(self.row.id)
        fingerprint = None
        for entry in entries:
            if entry.kind == "run.planned" or (
                entry.kind == "gate.closed" and entry.body["state"] == "approved"
            ):
                fingerprint = entry.body["fingerprint"]
        return entries, None if fingerprint is None else tx.blobs.plan(self.row.id, fingerprint)

    # ------------------------------------------------------------ writing

    def note(self, kind: str, **body: Any) -> None:
        """Fold an entry now; it becomes durable with the next flush."""
        with self.lock:
            clean = self._redact(body)
            fold(self.progress, kind, clean, self.clock.now(), self.progress.n + 1)
            self._pending.append(Entry(kind, clean))

    def also(self, work: Callable[[Tx], None]) -> None:
        """Do `work` in the transaction of the next flush (a gate's row, a timer, a lock)."""
        with self.lock:
            self._extras.append(work)

    def move(self, state: RunState, reason: str) -> None:
        """Go to another run state, along the table."""
        with self.lock:
            if self.progress.state is state:
                return
            advance(self.progress.state, state)
            self.note(
                "run.state",
                **{"from": self.progress.state.value, "to": state.value, "reason": reason},
            )

    def flush(
        self,
        guard: Callable[[Tx], B | None] | None = None,
        guarded: tuple[str, JsonObject] | None = None,
    ) -> Written[B]:
        """Make everything noted durable, in one transaction that only the present owner can make.

        Args:
            guard: asked first, in the same transaction; an answer keeps `guarded` from being written.
            guarded: an entry (kind, body) that is written only where the guard has no objection.

        Raises:
            StaleOwner: another owner has the run; this one must let go.
            StoreUnavailable: nothing was written; what was noted stays pending.
        """
        with self.lock:
            if not self._pending and not self._extras and guard is None:
                return Written(None)
            pending, extras = list(self._pending), list(self._extras)
            last = Entry(guarded[0], self._redact(guarded[1])) if guarded else None
            work = self._work(pending, extras, guard, last)
            try:
                blocked, number, foreign = self.store.write(work)
            except _Stopped as stopped:
                for entry in stopped.foreign:
                    fold(self.progress, entry.kind, entry.body, entry.at, entry.n)
                    self._durable = entry.n
                return Written(None, stopped=True)
            self._pending = self._pending[len(pending) :]
            self._extras = self._extras[len(extras) :]
            self._durable = number
            for entry in foreign:
                fold(self.progress, entry.kind, entry.body, entry.at, entry.n)
            if last is not None and blocked is None:
                fold(self.progress, last.kind, last.body, self.clock.now(), number)
            self.progress.n = number
            written = [*pending, last] if last is not None and blocked is None else pending
            self._told(written)
            return Written(blocked)

    def end(self) -> Ending:
        """Write what is left of a run that ends here, without waiting: nothing outside follows it.

        Raises:
            StoreUnavailable: the store is closed; all else the answer tells.
        """
        with self.lock:
            pending = list(self._pending)
            work = self._work(pending, list(self._extras), None, None)
            ending = Ending()

            def told(_: object, error: BaseException | None) -> None:
                if error is None:
                    self._told(pending)
                ending.settle(error)

            self.store.hand_in(work, told)
            return ending

    def _work(
        self,
        pending: Sequence[Entry],
        extras: Sequence[Callable[[Tx], None]],
        guard: Callable[[Tx], B | None] | None,
        last: Entry | None,
    ) -> Callable[[Tx], tuple[B | None, int, Sequence[StoredEntry]]]:
        """The transaction: (the guard's objection, number of the last entry, what others appended)."""
        state, reason, ending = self.progress.state, _reason(pending), self.ending
        # By the entries: a state that was left and entered again has a new reason.
        durable, moved = self._durable, any(entry.kind == "run.state" for entry in pending)
        rows = self._measured(pending)
        began = self._measured([last]) if last is not None else []

        def work(tx: Tx) -> tuple[B | None, int, Sequence[StoredEntry]]:
            blocked = guard(tx) if guard is not None else None
            entries = [*pending, last] if last is not None and blocked is None else pending
            run_id, epoch = self.row.id, self.row.epoch
            number = durable
            if entries:
                number = tx.journal.append(run_id, entries, epoch=epoch)
                note_done(tx, self.row, self.program.playbook, self.progress, entries)
                tx.measures.add(rows if entries is pending else [*rows, *began])
            if ending:
                tx.runs.end(run_id, epoch, state, reason)
            elif moved:
                tx.runs.update(run_id, epoch, state=state, reason=reason)
            for extra in extras:
                extra(tx)
            missing = number - len(entries) - durable
            if missing <= 0:
                return blocked, number, ()
            foreign = tx.journal.read(run_id, after=durable, limit=missing)
            if last is not None and blocked is None and any(map(_stops, foreign)):
                raise _Stopped(foreign)
            return blocked, number, foreign

        return work

    def _measured(self, entries: Sequence[Entry]) -> list[MeasureRow]:
        return rows_of(self.row.id, self.program, self.progress, self.spent, entries)

    def _told(self, written: Sequence[Entry]) -> None:
        if self._observe is not None:
            self._observe(self.program, self.row, written, self.clock.now())

    def secure(self) -> None:
        """Before a call outside that only looks: make durable what such a call must not put at risk."""
        with self.lock:
            if any(entry.kind in _RISKED for entry in self._pending):
                self.flush()


def _stops(entry: StoredEntry) -> bool:
    return entry.kind == "run.signal" and entry.body.get("signal") in _STOPS


def _reason(entries: Sequence[Entry]) -> str:
    for entry in reversed(entries):
        if entry.kind == "run.state":
            return str(entry.body["reason"])
    return ""


def _facts(row: RunRow) -> RunFacts:
    trigger = {
        "kind": "manual",
        "labels": {},
        "annotations": {},
        "at": None,
        "value": None,
        **row.trigger,
    }
    alert = trigger.pop("alert", None)
    trigger.pop("plan", None)  # what the run is bound to is no fact of its trigger
    return RunFacts(
        trigger=trigger,
        alert=alert,
        incident=None if row.incident_id is None else {"id": row.incident_id},
        run={
            "id": row.id,
            "started_at": format_time(row.created_at),
            "priority": row.priority,
            "mode": row.mode.value,
        },
    )
