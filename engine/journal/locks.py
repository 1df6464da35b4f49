"""Locks on targets (rows owned by a run) and the budgets of blast radius."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, select, update

from engine.domain.plan import Target
from engine.journal import tables
from engine.journal.codec import clean
from engine.journal.repository import Repository
from engine.journal.statement import ONE, Statement, insert_new, p
from engine.journal.tables import lock_waits, reservations

T = tables.locks
W = lock_waits
B = reservations

TAKE = Statement(insert_new(T, "connection", "path"))
_TARGET = (T.c.connection == p("connection")) & (T.c.path == p("path"))
HOLDER = Statement(select(T.c.run_id).where(_TARGET))
# Waits for a release that is being committed just now, so that no waiter comes a moment too late.
HOLDER_LOCKED = Statement(select(T.c.run_id).where(_TARGET).with_for_update())
DROP = Statement(delete(T).where(_TARGET, T.c.run_id == p("run_id")))
OF_RUN = Statement(
    select(T.c.connection, T.c.path)
    .where(T.c.run_id == p("run_id"))
    .order_by(T.c.connection, T.c.path)
)
DROP_ALL = Statement(delete(T).where(T.c.run_id == p("run_id")))
HELD = Statement(select(T.c.connection, T.c.path, T.c.run_id).order_by(T.c.connection, T.c.path))
WAIT = Statement(insert_new(W, "connection", "path", "run_id"))
WAITERS = Statement(
    select(W.c.run_id).where(W.c.connection == p("connection"), W.c.path == p("path"))
)
HOLDERS = Statement(
    select(T.c.connection, T.c.path, T.c.run_id)
    .select_from(W.join(T, (T.c.connection == W.c.connection) & (T.c.path == W.c.path)))
    .where(W.c.run_id == p("run_id"))
    .order_by(T.c.connection, T.c.path)
)
WAITING = Statement(
    select(W.c.connection, W.c.path, W.c.run_id).order_by(W.c.connection, W.c.path, W.c.run_id)
)
ANYBODY_WAITS = Statement(select(W.c.run_id).limit(ONE))
STOP_WAITING = Statement(delete(W).where(W.c.run_id == p("run_id")))


class Locks(Repository):
    def acquire(self, run_id: str, targets: Sequence[Target]) -> Mapping[Target, str]:
        taken: list[Target] = []
        conflicts: dict[Target, str] = {}
        for target in sorted(set(targets)):
            holder = self._take(run_id, target)
            if holder is None:
                taken.append(target)
            elif holder != run_id:
                conflicts[target] = holder
        if conflicts:
            for target in taken:
                self._s.run(DROP, **_key(target), run_id=run_id)
        elif self._anybody_waits():
            self._s.run(STOP_WAITING, run_id=run_id)
        return conflicts

    def _take(self, run_id: str, target: Target) -> str | None:
        """Take one lock; return None where this took it, else who has it."""
        key = _key(target)
        while not self._s.run(TAKE, **key, run_id=run_id):
            row = self._s.one(HOLDER, **key)
            if row is not None:
                return str(row[0])
            # It was released between the two statements: try again.
        return None

    def release(self, run_id: str) -> Sequence[str]:
        freed = self._s.all(OF_RUN, run_id=run_id)
        if freed:
            self._s.run(DROP_ALL, run_id=run_id)
        if not self._anybody_waits():
            return []
        self._s.run(STOP_WAITING, run_id=run_id)
        waiters: dict[str, None] = {}
        for connection, path in freed:
            for row in self._s.all(WAITERS, connection=connection, path=path):
                waiters[row[0]] = None
        for waiter in waiters:
            self._s.run(STOP_WAITING, run_id=waiter)
        self._tx.run_rows.wake_all(waiters)
        return list(waiters)

    def _anybody_waits(self) -> bool:
        """Whether any run waits for a lock, so that most need not look for their own waiters.

        Asked once a group where nobody else can write; elsewhere a waiter may come at any moment.
        """
        if not self._s.alone:
            return True
        known = self._s.known
        if ("waits",) not in known:
            known["waits",] = self._s.one(ANYBODY_WAITS) is not None
        return bool(known["waits",])

    def wait(self, run_id: str, targets: Sequence[Target]) -> None:
        self._s.known["waits",] = True
        free = False
        for target in sorted(set(targets)):
            self._s.run(WAIT, **_key(target), run_id=run_id)
            free = self._s.one(HOLDER_LOCKED, **_key(target)) is None or free
        if free:
            self._tx.runs.wake(run_id)

    def circle(self, run_id: str, targets: Sequence[Target]) -> Sequence[str]:
        # Two nodes that each close the circle with their half would otherwise both see none.
        self._s.serialise("lock waits")
        came_from: dict[str, str] = {}
        ahead = [(run_id, holder) for holder in self._holders_of(targets)]
        while ahead:
            waiter, holder = ahead.pop(0)
            if holder == run_id:
                back = [waiter]
                while back[-1] != run_id:
                    back.append(came_from[back[-1]])
                return back[::-1]
            if holder not in came_from:
                came_from[holder] = waiter
                ahead += [(holder, further) for further in self.holders(holder).values()]
        return []

    def _holders_of(self, targets: Sequence[Target]) -> list[str]:
        found = (self._s.one(HOLDER, **_key(target)) for target in sorted(set(targets)))
        return [row[0] for row in found if row is not None]

    def stop_waiting(self, run_id: str) -> None:
        self._s.run(STOP_WAITING, run_id=run_id)

    def held(self) -> Mapping[Target, str]:
        return {Target(row[0], row[1]): row[2] for row in self._s.all(HELD)}

    def holders(self, run_id: str) -> Mapping[Target, str]:
        found = self._s.all(HOLDERS, run_id=run_id)
        return {Target(row[0], row[1]): row[2] for row in found}

    def waiting(self) -> Sequence[tuple[Target, str]]:
        return [(Target(row[0], row[1]), row[2]) for row in self._s.all(WAITING)]


def _key(target: Target) -> dict[str, str]:
    return {"connection": clean(target.connection), "path": clean(target.path)}


_SCOPE = (B.c.scope == p("scope")) & (B.c.unit == p("unit"))
RESERVE = Statement(insert_new(B, "scope", "unit", "key"))
RESERVED = Statement(select(B.c.amount).where(_SCOPE, B.c.key == p("key")))
SETTLE = Statement(update(B).where(_SCOPE, B.c.key == p("key")).values(amount=p("new_amount")))
USED = Statement(select(func.coalesce(func.sum(B.c.amount), 0)).where(_SCOPE, B.c.at > p("since")))
FORGET = Statement(update(B).where(_SCOPE).values(amount=0))
_EVER = -(1 << 62)


class Budgets(Repository):
    def reserve(
        self,
        scope: str,
        unit: str,
        amount: int,
        *,
        limit: int,
        window: float | None,
        run_id: str,
        key: str,
    ) -> int:
        # Two nodes would otherwise both see room for the last of it.
        self._s.serialise(f"budget {scope} {unit}")
        if self._s.one(RESERVED, scope=scope, unit=unit, key=key) is not None:
            return 0
        missing = self.used(scope, unit, window=window) + amount - limit
        if missing > 0:
            return missing
        self._s.run(
            RESERVE,
            scope=scope,
            unit=unit,
            key=key,
            amount=amount,
            run_id=run_id,
            at=self._now(),
        )
        return 0

    def settle(self, key: str, scope: str, unit: str, amount: int) -> None:
        self._s.run(SETTLE, scope=scope, unit=unit, key=key, new_amount=amount)

    def used(self, scope: str, unit: str, *, window: float | None) -> int:
        since = _EVER if window is None else self._now() - int(window * 1_000_000)
        ((used,),) = self._s.all(USED, scope=scope, unit=unit, since=since)
        return int(used)

    def clear(self, scope: str, unit: str) -> int:
        used = self.used(scope, unit, window=None)
        self._s.run(FORGET, scope=scope, unit=unit)
        return used
