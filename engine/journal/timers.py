"""Timers: rows that make a parked run ready when their time has come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, tuple_

from engine.journal import tables
from engine.journal.codec import maybe_instant, micros
from engine.journal.repository import Repository
from engine.journal.statement import Statement, p, upsert

T = tables.timers

SET = Statement(upsert(T, ["run_id", "name"], ["at"]))
CLEAR = Statement(delete(T).where(T.c.run_id == p("run_id"), T.c.name == p("name")))
CLEAR_ALL = Statement(delete(T).where(T.c.run_id == p("run_id")))
NEXT = Statement(select(func.min(T.c.at)))
_due = (
    select(T.c.run_id, T.c.name)
    .where(T.c.at <= p("now"))
    .with_for_update(skip_locked=True)
    .cte("due")
)
FIRE = Statement(
    delete(T)
    .where(tuple_(T.c.run_id, T.c.name).in_(select(_due.c.run_id, _due.c.name)))
    .returning(T.c.run_id)
)


class Timers(Repository):
    def set(self, run_id: str, name: str, at: datetime) -> None:
        self._s.run(SET, run_id=run_id, name=name, at=micros(at))
        self._s.touch("runs")

    def clear(self, run_id: str, name: str | None = None) -> None:
        if name is None:
            self._s.run(CLEAR_ALL, run_id=run_id)
        else:
            self._s.run(CLEAR, run_id=run_id, name=name)

    def fire(self) -> Sequence[str]:
        now = self._now()
        ((following,),) = self._s.all(NEXT)
        if following is None or following > now:
            return []
        fired = list(dict.fromkeys(row[0] for row in self._s.take(FIRE, now=now)))
        self._tx.run_rows.wake_all(fired)
        return fired

    def next(self) -> datetime | None:
        ((following,),) = self._s.all(NEXT)
        return maybe_instant(following)
