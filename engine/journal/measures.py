"""What was measured of runs and steps: written with the journal, in the same transaction; kept for a week."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import delete, select, tuple_

from engine.journal.codec import clean, instant, maybe_instant, maybe_micros, micros
from engine.journal.measure_tables import measures
from engine.journal.repository import Repository
from engine.journal.rows import MeasureRow
from engine.journal.statement import Statement, insert, p

T = measures
_PAGE = 5000  # rows read at a time: however many there are, few are held
_PRUNED = 2000  # rows forgotten at a time, so that no writer waits long

ADD = Statement(insert(T))
BETWEEN = Statement(
    select(
        T.c.at,
        T.c.seq,
        T.c.event,
        T.c.run_id,
        T.c.address,
        T.c.stage,
        T.c.state,
        T.c.category,
        T.c.started_at,
        T.c.attempts,
        T.c.cpu,
        T.c.memory,
        T.c.message,
    )
    .where(tuple_(T.c.at, T.c.seq) > tuple_(p("at"), p("seq")), T.c.at <= p("until"))
    .order_by(T.c.at, T.c.seq)
    .limit(p("limit"))
)
PRUNE = Statement(
    delete(T).where(
        T.c.seq.in_(
            select(T.c.seq).where(T.c.at < p("before")).order_by(T.c.at, T.c.seq).limit(p("limit"))
        )
    )
)


class Measures(Repository):
    def add(self, rows: Sequence[MeasureRow]) -> None:
        for row in rows:
            self._s.later(
                ADD,
                at=self._now(),
                event=row.event,
                run_id=row.run_id,
                address=clean(row.address),
                stage=clean(row.stage),
                state=row.state,
                category=row.category,
                started_at=maybe_micros(row.started_at),
                attempts=row.attempts,
                cpu=round(row.cpu * 1e6),
                memory=row.memory,
                message=clean(row.message),
            )

    def between(self, since: datetime, until: datetime) -> Iterator[MeasureRow]:
        at, seq = micros(since) - 1, 2**62
        while True:
            rows = self._s.all(BETWEEN, at=at, seq=seq, until=micros(until), limit=_PAGE)
            for row in rows:
                yield MeasureRow(
                    at=instant(row[0]),
                    event=row[2],
                    run_id=row[3],
                    address=row[4],
                    stage=row[5],
                    state=row[6],
                    category=row[7],
                    started_at=maybe_instant(row[8]),
                    attempts=row[9],
                    cpu=row[10] / 1e6,
                    memory=row[11],
                    message=row[12],
                )
            if len(rows) < _PAGE:
                return
            at, seq = rows[-1][0], rows[-1][1]

    def prune(self, before: datetime) -> int:
        return self._s.run(PRUNE, before=micros(before), limit=_PRUNED)
