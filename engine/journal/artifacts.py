"""Artifacts of incidents, what steps did to Stanch itself, and what people wrote into postmortems."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, literal_column, select, update

from engine.domain.canonical import JsonObject
from engine.journal.casefile_tables import artifacts, postmortems, step_acts
from engine.journal.casefiles import ArtifactRow, PostmortemRow
from engine.journal.codec import clean, dumps, instant, loads, maybe_instant, maybe_micros, micros
from engine.journal.repository import Repository
from engine.journal.session import Row
from engine.journal.statement import Statement, insert_new, p, upsert
from engine.journal.tables import incidents, runs

T = artifacts
N = incidents
K = step_acts
M = postmortems
R = runs

_COLUMNS = (
    *(T.c.id, T.c.subject, T.c.name, T.c.content_type, T.c.bytes, T.c.sha256),
    *(T.c.by, T.c.at, T.c.reference),
)
ADD = Statement(insert_new(T, "subject", "name", "sha256"))
FIND = Statement(
    select(*_COLUMNS).where(
        T.c.subject == p("subject"), T.c.name == p("name"), T.c.sha256 == p("sha256")
    )
)
OF = Statement(select(*_COLUMNS).where(T.c.subject == p("subject")).order_by(T.c.seq))
GET = Statement(select(*_COLUMNS).where(T.c.id == p("id")))
CONTENT = Statement(select(T.c.content).where(T.c.id == p("id")))
TOTAL = Statement(
    select(func.coalesce(func.sum(T.c.bytes), 0)).where(
        T.c.subject == p("subject"), T.c.reference == ""
    )
)
# What was forgotten and comes again is kept again.
REFILL = Statement(
    update(T)
    .where(T.c.id == p("id"), T.c.content.is_(None), T.c.reference == literal_column("''"))
    .values(content=p("content"), at=p("at"))
)
_OVER: list[ColumnElement[str]] = [
    literal_column(f"'{state}'") for state in ("resolved", "closed")
]  # incidents
_old = (
    select(T.c.seq)
    .where(
        T.c.content.is_not(None),
        T.c.at < p("before"),
        ~exists().where(N.c.id == T.c.subject, N.c.state.not_in(_OVER)),
        ~exists().where(R.c.id == T.c.subject, R.c.ended_at.is_(None)),
    )
    .order_by(T.c.at)
    .limit(p("limit"))
)
PRUNE = Statement(update(T).where(T.c.seq.in_(_old)).values(content=None))
_PRUNED = 50  # contents forgotten at a time, so that no writer waits long
RESULT = Statement(select(K.c.result).where(K.c.key == p("key")))
ACTED = Statement(insert_new(K, "key"))
POSTMORTEM = Statement(select(*M.c).where(M.c.incident_id == p("incident_id")).with_for_update())
PUT = Statement(
    upsert(
        M,
        ["incident_id"],
        ["state", "due_at", "next_at", "reminded", "version", "sections", "by", "at"],
    )
)
DUE = Statement(
    select(*M.c)
    .where(M.c.next_at.is_not(None), M.c.next_at <= p("now"))
    .order_by(M.c.next_at)
    .limit(p("limit"))
    .with_for_update(skip_locked=True)
)


def _artifact(row: Row) -> ArtifactRow:
    return ArtifactRow(
        id=row[0],
        subject=row[1],
        name=row[2],
        content_type=row[3],
        bytes=row[4],
        sha256=row[5],
        by=row[6],
        at=instant(row[7]),
        reference=loads(row[8]) if row[8] else None,
    )


class Artifacts(Repository):
    def add(self, row: ArtifactRow, content: bytes | None) -> ArtifactRow:
        added = self._s.run(
            ADD,
            id=row.id,
            subject=row.subject,
            name=clean(row.name),
            content_type=row.content_type,
            bytes=row.bytes,
            sha256=row.sha256,
            reference=dumps(row.reference) if row.reference is not None else "",
            by=clean(row.by),
            at=micros(row.at),
            content=content,
        )
        if added:
            return row
        found = self._s.one(FIND, subject=row.subject, name=clean(row.name), sha256=row.sha256)
        assert found is not None
        if content is not None:
            self._s.run(REFILL, id=found[0], content=content, at=micros(row.at))
        return _artifact(found)

    def of(self, subject: str) -> Sequence[ArtifactRow]:
        return [_artifact(row) for row in self._s.all(OF, subject=subject)]

    def get(self, artifact_id: str) -> ArtifactRow | None:
        row = self._s.one(GET, id=artifact_id)
        return None if row is None else _artifact(row)

    def content(self, artifact_id: str) -> bytes | None:
        row = self._s.one(CONTENT, id=artifact_id)
        return None if row is None or row[0] is None else bytes(row[0])

    def prune(self, before: datetime) -> int:
        return self._s.run(PRUNE, before=micros(before), limit=_PRUNED)

    def total(self, subject: str) -> int:
        ((total,),) = self._s.all(TOTAL, subject=subject)
        return int(total)


class Acts(Repository):
    def result(self, key: str) -> JsonObject | None:
        row = self._s.one(RESULT, key=key)
        return None if row is None else loads(row[0])

    def done(self, key: str, subject: str, result: JsonObject) -> None:
        self._s.run(ACTED, key=key, subject=subject, result=dumps(result))


def _postmortem(row: Row) -> PostmortemRow:
    return PostmortemRow(
        incident_id=row[0],
        state=row[1],
        due_at=maybe_instant(row[2]),
        next_at=maybe_instant(row[3]),
        reminded=row[4],
        version=row[5],
        sections=loads(row[6]),
        by=row[7],
        at=instant(row[8]),
    )


class Postmortems(Repository):
    def get(self, incident_id: str) -> PostmortemRow | None:
        row = self._s.one(POSTMORTEM, incident_id=incident_id)
        return None if row is None else _postmortem(row)

    def put(self, row: PostmortemRow) -> None:
        self._s.run(
            PUT,
            incident_id=row.incident_id,
            state=row.state,
            due_at=maybe_micros(row.due_at),
            next_at=maybe_micros(row.next_at),
            reminded=row.reminded,
            version=row.version,
            sections=dumps(row.sections),
            by=clean(row.by),
            at=micros(row.at),
        )
        self._s.touch("calls")

    def due(self, limit: int) -> Sequence[PostmortemRow]:
        return [_postmortem(row) for row in self._s.all(DUE, now=self._now(), limit=limit)]
