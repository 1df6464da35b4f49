"""How far incidents have been told, and what people sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    and_,
    delete,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)

from engine.domain.canonical import JsonObject
from engine.journal import chat_tables, tables
from engine.journal.codec import dumps, instant, loads, maybe_instant, maybe_micros, micros
from engine.journal.parcels import Received, Room
from engine.journal.repository import Repository
from engine.journal.session import Row
from engine.journal.statement import Statement, insert_new, p

R = chat_tables.rooms
X = chat_tables.inbox
I = tables.incidents  # noqa: E741
C = tables.chains
U = tables.runs

_LIVE: ColumnElement[bool] = literal_column("rooms.state <> 'closed'")
_ROOM = (R.c.incident_id, R.c.state, R.c.version, R.c.body, R.c.due)

_AT_WORK: ColumnElement[bool] = literal_column("incidents.state NOT IN ('resolved', 'closed')")

NEW = Statement(
    select(I.c.id)
    .select_from(I.outerjoin(R, R.c.incident_id == I.c.id))
    .where(
        or_(
            and_(_AT_WORK, or_(R.c.incident_id.is_(None), R.c.state == literal_column("'closed'"))),
            and_(I.c.opened_at >= p("since"), R.c.incident_id.is_(None)),
        )
    )
    .order_by(I.c.seq)
    .limit(p("limit"))
)
OPEN = Statement(insert_new(R, "incident_id"))
GET = Statement(select(*_ROOM).where(R.c.incident_id == p("id")))
LIVE = Statement(select(*_ROOM).where(_LIVE).order_by(R.c.incident_id))
HEADS = Statement(
    union_all(
        select(R.c.incident_id, C.c.chain, C.c.n)
        .select_from(R.join(C, C.c.chain == R.c.incident_id))
        .where(_LIVE),
        select(R.c.incident_id, C.c.chain, C.c.n)
        .select_from(R.join(U, U.c.incident_id == R.c.incident_id).join(C, C.c.chain == U.c.id))
        .where(_LIVE),
    )
)
SAVE = Statement(
    update(R)
    .where(R.c.incident_id == p("id"), R.c.version == p("version"))
    .values(state=p("state"), version=p("new"), body=p("body"), due=p("due"))
)
NEXT = Statement(select(func.min(R.c.due)).where(_LIVE))

TAKE = Statement(insert_new(X, "id"))
CLAIM = Statement(
    select(X.c.seq, X.c.id, X.c.kind, X.c.body, X.c.at, X.c.state)
    .where(
        literal_column("state <> 'done'"),
        or_(X.c.owned_until.is_(None), X.c.owned_until <= p("now")),
    )
    .order_by(X.c.seq)
    .limit(p("limit"))
    .with_for_update(skip_locked=True)
)
WAITS = Statement(
    select(X.c.seq)
    .where(
        literal_column("state <> 'done'"),
        or_(X.c.owned_until.is_(None), X.c.owned_until <= p("now")),
    )
    .limit(p("limit"))
)
WORK = Statement(
    update(X)
    .where(X.c.seq == p("seq"))
    .values(state="working", owner=p("owner"), owned_until=p("until"))
)
DONE = Statement(update(X).where(X.c.id == p("id")).values(state="done", body=p("body")))
PRUNE = Statement(delete(X).where(X.c.at < p("before"), X.c.state == literal_column("'done'")))


def _room(row: Row) -> Room:
    return Room(row[0], row[1], row[2], loads(row[3]), maybe_instant(row[4]))


class Rooms(Repository):
    def new(self, since: datetime, limit: int) -> Sequence[str]:
        return [row[0] for row in self._s.all(NEW, since=micros(since), limit=limit)]

    def open(self, room: Room) -> bool:
        made = self._s.run(
            OPEN,
            incident_id=room.incident_id,
            state=room.state,
            version=room.version,
            body=dumps(room.body),
            due=maybe_micros(room.due),
        )
        return made > 0

    def get(self, incident_id: str) -> Room | None:
        row = self._s.one(GET, id=incident_id)
        return None if row is None else _room(row)

    def live(self) -> Sequence[Room]:
        return [_room(row) for row in self._s.all(LIVE)]

    def heads(self) -> Mapping[str, Mapping[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for incident_id, chain, n in self._s.all(HEADS):
            found.setdefault(incident_id, {})[chain] = n
        return found

    def save(self, room: Room) -> bool:
        kept = self._s.run(
            SAVE,
            id=room.incident_id,
            version=room.version,
            new=room.version + 1,
            state=room.state,
            body=dumps(room.body),
            due=maybe_micros(room.due),
        )
        return kept > 0

    def next_due(self) -> datetime | None:
        ((following,),) = self._s.all(NEXT)
        return maybe_instant(following)


class Inbox(Repository):
    def take(self, id_: str, kind: str, body: JsonObject) -> bool:
        taken = self._s.run(
            TAKE,
            id=id_,
            kind=kind,
            body=dumps(body),
            state="received",
            owner=None,
            owned_until=None,
            at=self._now(),
        )
        if taken:
            self._s.touch("chat")
        return taken > 0

    def claim(self, owner: str, lease: float) -> Received | None:
        now = self._now()
        row = self._s.one(CLAIM, now=now, limit=1)
        if row is None:
            return None
        self._s.run(WORK, seq=row[0], owner=owner, until=now + int(lease * 1_000_000))
        return Received(row[1], row[2], loads(row[3]), instant(row[4]), row[5] == "working")

    def waits(self) -> bool:
        return self._s.one(WAITS, now=self._now(), limit=1) is not None

    def done(self, id_: str) -> None:
        # Its text is no longer needed, and may hold an address that answers can be sent to.
        self._s.run(DONE, id=id_, body="{}")

    def prune(self, before: datetime) -> int:
        return self._s.run(PRUNE, before=micros(before))
