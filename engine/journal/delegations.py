"""Delegations: a role lent to another person until a time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update

from engine.journal import tables
from engine.journal.codec import clean, instant, maybe_instant, maybe_micros, micros
from engine.journal.repository import Repository
from engine.journal.rows import DelegationRow
from engine.journal.session import Row
from engine.journal.statement import Statement, insert, p

T = tables.delegations

_COLUMNS = (
    T.c.id,
    T.c.role,
    T.c.giver,
    T.c.taker,
    T.c.reason,
    T.c.at,
    T.c.until,
    T.c.revoked_at,
    T.c.revoked_by,
)
_IN_FORCE = (T.c.until > p("now")) & T.c.revoked_at.is_(None)

ADD = Statement(insert(T))
GET = Statement(select(*_COLUMNS).where(T.c.id == p("id")))
OF = Statement(select(*_COLUMNS).where(T.c.taker == p("taker"), _IN_FORCE).order_by(T.c.seq))
LIST = Statement(select(*_COLUMNS).order_by(T.c.seq.desc()).limit(p("limit")))
REVOKE = Statement(
    update(T).where(T.c.id == p("id"), _IN_FORCE).values(revoked_at=p("now"), revoked_by=p("by"))
)


def _row(row: Row) -> DelegationRow:
    return DelegationRow(
        id=row[0],
        role=row[1],
        giver=row[2],
        taker=row[3],
        reason=row[4],
        at=instant(row[5]),
        until=instant(row[6]),
        revoked_at=maybe_instant(row[7]),
        revoked_by=row[8],
    )


class Delegations(Repository):
    def add(self, row: DelegationRow) -> None:
        self._s.run(
            ADD,
            id=row.id,
            role=clean(row.role),
            giver=clean(row.giver),
            taker=clean(row.taker),
            reason=clean(row.reason),
            at=micros(row.at),
            until=micros(row.until),
            revoked_at=maybe_micros(row.revoked_at),
            revoked_by=clean(row.revoked_by),
        )

    def get(self, delegation_id: str) -> DelegationRow | None:
        row = self._s.one(GET, id=delegation_id)
        return None if row is None else _row(row)

    def of(self, taker: str) -> Sequence[DelegationRow]:
        return [_row(row) for row in self._s.all(OF, taker=clean(taker), now=self._now())]

    def list(self, limit: int = 200) -> Sequence[DelegationRow]:
        return [_row(row) for row in self._s.all(LIST, limit=limit)]

    def revoke(self, delegation_id: str, by: str) -> bool:
        return self._s.run(REVOKE, id=delegation_id, by=clean(by), now=self._now()) > 0
