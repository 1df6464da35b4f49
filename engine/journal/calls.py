"""Calls and their messages: rows that any node may carry on, each by a condition on what it saw."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import literal_column, select, update

from engine.journal.casefile_tables import call_sends, calls
from engine.journal.casefiles import CallRow, SendRow
from engine.journal.codec import clean, dumps, instant, loads, maybe_instant, maybe_micros, micros
from engine.journal.repository import Repository
from engine.journal.session import Row
from engine.journal.statement import Statement, insert, insert_new, p

T = calls
S = call_sends

_SEND = tuple(S.c)

OPEN = Statement(insert_new(T, "id"))
GET = Statement(select(*T.c).where(T.c.id == p("id")).with_for_update())
OPEN_ONES = Statement(
    select(*T.c).where(T.c.closed_at.is_(None)).order_by(T.c.opened_at).limit(p("limit"))
)
DUE = Statement(
    select(*T.c)
    .where(T.c.next_at.is_not(None), T.c.next_at <= p("now"))
    .order_by(T.c.next_at)
    .limit(p("limit"))
)
ADD_SEND = Statement(insert(S))
SENDS = Statement(select(*_SEND).where(S.c.call_id == p("call_id")).order_by(S.c.n))
DUE_SENDS = Statement(
    select(*_SEND)
    .where(S.c.next_at.is_not(None), S.c.next_at <= p("now"))
    .order_by(S.c.next_at)
    .limit(p("limit"))
)
CLAIM = Statement(
    update(S)
    .where(
        S.c.call_id == p("call_id"),
        S.c.n == p("n"),
        S.c.tries == p("tries"),
        S.c.state == literal_column("'pending'"),
        S.c.next_at <= p("now"),
    )
    .values(tries=S.c.tries + 1, next_at=p("until"))
)
SENT = Statement(
    update(S)
    .where(S.c.call_id == p("call_id"), S.c.n == p("n"), S.c.state == literal_column("'pending'"))
    .values(state=p("state"), error=p("error"), next_at=p("next_at"))
)

_WRITTEN = {
    "level": str,
    "chain": str,
    "reason": lambda value: clean(str(value)),
    "state": str,
    "rung": int,
    "round": int,
    "next_at": maybe_micros,
    "closed_at": maybe_micros,
}


@cache
def _changing(names: tuple[str, ...]) -> Statement:
    return Statement(
        update(T)
        .where(
            T.c.id == p("id"),
            T.c.state == p("was_state"),
            T.c.rung == p("was_rung"),
            T.c.round == p("was_round"),
        )
        .values({name: p(name) for name in names})
    )


def _call(row: Row) -> CallRow:
    return CallRow(
        id=row[0],
        subject=row[1],
        run_id=row[2],
        incident_id=row[3],
        level=row[4],
        chain=row[5],
        reason=row[6],
        state=row[7],
        rung=row[8],
        round=row[9],
        next_at=maybe_instant(row[10]),
        opened_at=instant(row[11]),
        closed_at=maybe_instant(row[12]),
        body=loads(row[13]),
    )


def _send(row: Row) -> SendRow:
    return SendRow(
        call_id=row[0],
        n=row[1],
        event=row[2],
        contact=row[3],
        way=loads(row[4]),
        state=row[5],
        at=instant(row[6]),
        tries=row[7],
        next_at=maybe_instant(row[8]),
        error=row[9],
    )


class Calls(Repository):
    def open(self, row: CallRow) -> bool:
        opened = self._s.run(
            OPEN,
            id=row.id,
            subject=clean(row.subject),
            run_id=row.run_id,
            incident_id=row.incident_id,
            level=row.level,
            chain=row.chain,
            reason=clean(row.reason),
            state=row.state,
            rung=row.rung,
            round=row.round,
            next_at=maybe_micros(row.next_at),
            opened_at=micros(row.opened_at),
            closed_at=maybe_micros(row.closed_at),
            body=dumps(row.body),
        )
        self._s.touch("calls")
        return opened > 0

    def get(self, call_id: str) -> CallRow | None:
        row = self._s.one(GET, id=call_id)
        return None if row is None else _call(row)

    def open_ones(self, limit: int = 500) -> Sequence[CallRow]:
        return [_call(row) for row in self._s.all(OPEN_ONES, limit=limit)]

    def due(self, limit: int) -> Sequence[CallRow]:
        return [_call(row) for row in self._s.all(DUE, now=self._now(), limit=limit)]

    def change(self, call: CallRow, **changes: object) -> bool:
        values = {name: _WRITTEN[name](value) for name, value in changes.items()}  # type: ignore[operator]
        changed = self._s.run(
            _changing(tuple(sorted(values))),
            id=call.id,
            was_state=call.state,
            was_rung=call.rung,
            was_round=call.round,
            **values,
        )
        self._s.touch("calls")
        return changed > 0

    def send(self, row: SendRow) -> None:
        self._s.run(
            ADD_SEND,
            call_id=row.call_id,
            n=row.n,
            event=row.event,
            contact=clean(row.contact),
            way=dumps(row.way),
            state=row.state,
            at=micros(row.at),
            tries=row.tries,
            next_at=maybe_micros(row.next_at),
            error=clean(row.error),
        )
        self._s.touch("calls")

    def sends(self, call_id: str) -> Sequence[SendRow]:
        return [_send(row) for row in self._s.all(SENDS, call_id=call_id)]

    def due_sends(self, limit: int) -> Sequence[SendRow]:
        return [_send(row) for row in self._s.all(DUE_SENDS, now=self._now(), limit=limit)]

    def claim_send(self, row: SendRow, until: datetime) -> bool:
        claimed = self._s.run(
            CLAIM,
            call_id=row.call_id,
            n=row.n,
            tries=row.tries,
            now=self._now(),
            until=micros(until),
        )
        return claimed > 0

    def sent(self, row: SendRow, *, state: str, error: str, next_at: datetime | None) -> None:
        self._s.run(
            SENT,
            call_id=row.call_id,
            n=row.n,
            state=state,
            error=clean(error),
            next_at=maybe_micros(next_at),
        )
