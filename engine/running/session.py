"""One owner's hold on one run: what is folded, what is still to be written, and the fenced way to write it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import Clock, format_time
from engine.domain.entry import Entry
from engine.domain.run import RunState, advance
from engine.journal.store import RunRow, Store, Tx
from engine.language.program import Program
from engine.planning.document import PlanDocument
from engine.planning.fold import fold
from engine.planning.progress import RunProgress
from engine.planning.scope import RunFacts

B = TypeVar("B")

# What happened outside. All else that is noted can be worked out again after a crash.
_RISKED = frozenset({"step.applied", "step.outcome", "undo.outcome", "gate.opened", "gate.closed"})


@dataclass(frozen=True)
class Written(Generic[B]):
    """What a guarded write came to: the guard's objection, or None where all was written."""

    blocked: B | None


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
        self._written_state = row.state
        self.facts = _facts(row)

    # ------------------------------------------------------------ reading

    def load(self) -> None:
        """Fold the run's chain and fetch the plan in force."""
        entries, plan = self.store.read(self._read_all)
        for entry in entries:
            fold(self.progress, entry.kind, entry.body, entry.at, entry.n)
        self._durable = self.progress.n
        self._written_state = self.progress.state = self.row.state
        self.document = None if plan is None else PlanDocument.from_json(plan)

    def _read_all(self, tx: Tx) -> tuple[Sequence[Any], Json]:
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
            state = self.progress.state
            reason = _reason(pending)

            def work(tx: Tx) -> tuple[B | None, int, int, Sequence[Any]]:
                blocked = guard(tx) if guard is not None else None
                entries = [*pending, last] if last is not None and blocked is None else pending
                number = self._durable
                if entries:
                    number = tx.journal.append(self.row.id, entries, epoch=self.row.epoch)
                if state is not self._written_state or self.ending:
                    tx.runs.update(
                        self.row.id, self.row.epoch, state=state, reason=reason, ended=self.ending
                    )
                for extra in extras:
                    extra(tx)
                foreign: Sequence[Any] = ()
                missing = number - len(entries) - self._durable
                if missing > 0:
                    foreign = tx.journal.read(self.row.id, after=self._durable, limit=missing)
                return blocked, number, len(entries), foreign

            blocked, number, _, foreign = self.store.write(work)
            self._pending = self._pending[len(pending) :]
            self._extras = self._extras[len(extras) :]
            self._durable = number
            self._written_state = state
            for entry in foreign:
                fold(self.progress, entry.kind, entry.body, entry.at, entry.n)
            if last is not None and blocked is None:
                fold(self.progress, last.kind, last.body, self.clock.now(), number)
            self.progress.n = number
            if self._observe is not None:
                written = [*pending, last] if last is not None and blocked is None else pending
                self._observe(self.program, self.row, written, self.clock.now())
            return Written(blocked)

    def secure(self) -> None:
        """Before a call outside that only looks: make durable what such a call must not put at risk."""
        with self.lock:
            if any(entry.kind in _RISKED for entry in self._pending):
                self.flush()

    def refresh(self) -> None:
        """Fold what others (votes, signals) have appended meanwhile."""
        with self.lock:
            if self._pending:
                self.flush()
            entries = self.store.read(lambda tx: tx.journal.read(self.row.id, after=self._durable))
            for entry in entries:
                fold(self.progress, entry.kind, entry.body, entry.at, entry.n)
            self._durable = self.progress.n


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


def iso(value: datetime) -> str:
    return format_time(value)
