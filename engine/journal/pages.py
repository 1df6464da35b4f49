"""Pages: rows that are told again and again until a person has seen them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select, update

from engine.domain.ids import new_id
from engine.journal import tables
from engine.journal.codec import clean, instant, maybe_instant
from engine.journal.repository import Repository
from engine.journal.rows import PageRow
from engine.journal.session import Row
from engine.journal.statement import ONE, Statement, insert, p

T = tables.pages

_COLUMNS = (
    T.c.id,
    T.c.subject,
    T.c.level,
    T.c.reason,
    T.c.run_id,
    T.c.incident_id,
    T.c.raised_at,
    T.c.next_at,
    T.c.told,
    T.c.acked_at,
    T.c.acked_by,
    T.c.note,
)
_OPEN = T.c.acked_at.is_(None)

ADD = Statement(insert(T))
OPEN = Statement(select(T.c.id).where(T.c.subject == p("subject"), _OPEN))
GET = Statement(select(*_COLUMNS).where(T.c.id == p("id")))
LIST = Statement(select(*_COLUMNS).order_by(T.c.seq.desc()).limit(p("limit")))
LIST_OPEN = Statement(select(*_COLUMNS).where(_OPEN).order_by(T.c.next_at).limit(p("limit")))
DUE = Statement(
    select(*_COLUMNS)
    .where(_OPEN, T.c.next_at <= p("now"))
    .order_by(T.c.next_at)
    .limit(p("limit"))
    .with_for_update(skip_locked=True)
)
PUT_OFF = Statement(
    update(T).where(T.c.id == p("id")).values(next_at=p("next_at"), told=T.c.told + ONE)
)
OF_INCIDENT = Statement(
    select(*_COLUMNS).where(T.c.incident_id == p("incident_id")).order_by(T.c.seq)
)
LOUDER = Statement(
    update(T)
    .where(T.c.id == p("id"), _OPEN)
    .values(level=p("level"), reason=p("reason"), next_at=p("now"))
)
NEXT = Statement(select(func.min(T.c.next_at)).where(_OPEN))
_SEEN = {"acked_at": p("now"), "acked_by": p("by"), "note": p("note")}
ACKNOWLEDGE = Statement(update(T).where(T.c.id == p("id"), _OPEN).values(**_SEEN))
SEEN = Statement(update(T).where(T.c.run_id == p("run_id"), _OPEN).values(**_SEEN))


def _row(row: Row) -> PageRow:
    return PageRow(
        id=row[0],
        subject=row[1],
        level=row[2],
        reason=row[3],
        run_id=row[4],
        incident_id=row[5],
        raised_at=instant(row[6]),
        next_at=instant(row[7]),
        told=row[8],
        acked_at=maybe_instant(row[9]),
        acked_by=row[10],
        note=row[11],
    )


class Pages(Repository):
    def open(
        self,
        subject: str,
        reason: str,
        level: str,
        *,
        run_id: str | None = None,
        incident_id: str | None = None,
    ) -> str:
        self._s.serialise(f"page {subject}")
        found = self._s.one(OPEN, subject=clean(subject))
        if found is not None:
            return str(found[0])
        page_id = new_id("page")
        now = self._now()
        self._s.run(
            ADD,
            id=page_id,
            subject=clean(subject),
            level=level,
            reason=clean(reason),
            run_id=run_id,
            incident_id=incident_id,
            raised_at=now,
            next_at=now,
            told=0,
            acked_at=None,
            acked_by="",
            note="",
        )
        return page_id

    def take_due(self, limit: int, repeat: Mapping[str, float]) -> Sequence[PageRow]:
        now = self._now()
        due = [_row(row) for row in self._s.all(DUE, now=now, limit=limit)]
        for row in due:
            following = now + int(repeat.get(row.level, 300.0) * 1_000_000)
            self._s.run(PUT_OFF, id=row.id, next_at=following)
        return due

    def next(self) -> datetime | None:
        ((following,),) = self._s.all(NEXT)
        return maybe_instant(following)

    def get(self, page_id: str) -> PageRow | None:
        row = self._s.one(GET, id=page_id)
        return None if row is None else _row(row)

    def list(self, *, open_only: bool = True, limit: int = 200) -> Sequence[PageRow]:
        return [_row(row) for row in self._s.all(LIST_OPEN if open_only else LIST, limit=limit)]

    def acknowledge(self, page_id: str, by: str, note: str = "") -> bool:
        values = {"by": clean(by), "note": clean(note), "now": self._now()}
        return self._s.run(ACKNOWLEDGE, id=page_id, **values) > 0

    def of_incident(self, incident_id: str) -> Sequence[PageRow]:
        return [_row(row) for row in self._s.all(OF_INCIDENT, incident_id=incident_id)]

    def louder(self, page_id: str, level: str, reason: str) -> bool:
        values = {"level": level, "reason": clean(reason), "now": self._now()}
        return self._s.run(LOUDER, id=page_id, **values) > 0

    def seen(self, run_id: str, by: str, note: str) -> int:
        values = {"by": clean(by), "note": clean(note), "now": self._now()}
        return self._s.run(SEEN, run_id=run_id, **values)
