"""Workers and their leases: one row a worker, one way to be declared dead.

A worker whose lease ran out is dead. Sooner still: its process also holds a lock that the system frees
when the process dies (an advisory lock on PostgreSQL, a locked file beside an SQLite database), and a
worker whose lock is free is dead at once. Taking over only resets runs to ready and raises their epochs.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select, update

from engine.journal import tables
from engine.journal.repository import Repository
from engine.journal.statement import ONE, ZERO, Statement, insert_new, p

T = tables.workers
R = tables.runs

FIRST_LEASE = 5.0  # seconds, for a worker that claims before its first beat
_MONTH = 30 * 24 * 3600 * 1_000_000

RENEW = Statement(
    update(T)
    .where(T.c.id == p("id"), T.c.dead == ZERO)
    .values(lease_until=p("until"), present=p("is_present"))
)
ENTER = Statement(insert_new(T, "id"))
# Shared, so that nobody declares the worker dead while it claims.
MAY_OWN = Statement(select(T.c.dead).where(T.c.id == p("id")).with_for_update(read=True))
EXPIRED = Statement(
    select(T.c.id)
    .where(T.c.dead == ZERO, T.c.lease_until < p("now"))
    .order_by(T.c.id)
    .with_for_update(skip_locked=True)
)
PRESENT = Statement(select(T.c.id).where(T.c.dead == ZERO, T.c.present == ONE).order_by(T.c.id))
BURY = Statement(update(T).where(T.c.id == p("id"), T.c.dead == ZERO).values(dead=ONE))
TAKE_OVER = Statement(
    update(R)
    .where(R.c.owner == p("worker"))
    .values(owner=None, epoch=R.c.epoch + ONE, ready=ONE)
    .returning(R.c.id)
)
ALIVE = Statement(
    select(T.c.id).where(T.c.dead == ZERO, T.c.lease_until >= p("now")).order_by(T.c.id)
)
FORGET = Statement(delete(T).where(T.c.dead == ONE, T.c.lease_until < p("before")))


class Workers(Repository):
    def beat(self, worker: str, lease: float) -> bool:
        until = self._now() + int(lease * 1_000_000)
        present = int(self._s.enter(worker))
        if self._s.run(RENEW, id=worker, until=until, is_present=present):
            return True
        return self._enter(worker, until, present)

    def _enter(self, worker: str, until: int, present: int) -> bool:
        entered = self._s.run(
            ENTER,
            id=worker,
            started_at=self._now(),
            lease_until=until,
            dead=0,
            present=present,
        )
        if not entered:
            self._s.left(worker)  # declared dead: its name is never used again
        return entered > 0

    def may_own(self, worker: str) -> bool:
        """Whether the worker may claim runs: it was not declared dead."""
        row = self._s.one(MAY_OWN, id=worker)
        if row is None:
            return self.beat(worker, FIRST_LEASE)
        return not row[0]

    def recover(self) -> Sequence[str]:
        now = self._now()
        gone = [row[0] for row in self._s.all(EXPIRED, now=now)]
        for (worker,) in self._s.all(PRESENT):
            if worker not in gone and self._s.gone(worker):
                gone.append(worker)
        taken = [run for worker in gone for run in self._bury(worker)]
        if gone:
            self._s.run(FORGET, before=now - _MONTH)
        return taken

    def leave(self, worker: str) -> None:
        self._bury(worker)
        self._s.left(worker)

    def _bury(self, worker: str) -> Sequence[str]:
        if not self._s.run(BURY, id=worker):
            return []
        taken = sorted(row[0] for row in self._s.take(TAKE_OVER, worker=worker))
        if taken:
            self._s.touch("runs")
        return taken

    def alive(self) -> Sequence[str]:
        return [row[0] for row in self._s.all(ALIVE, now=self._now())]
