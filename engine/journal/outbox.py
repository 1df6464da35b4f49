"""The outbox: parcels in lanes, delivered by one process at a time, in order, never from memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, literal_column, or_, select, update

from engine.journal import chat_tables as tables
from engine.journal.codec import clean, dumps, instant, loads, maybe_instant, micros
from engine.journal.parcels import Delivery, Parcel, Settled
from engine.journal.repository import Repository
from engine.journal.statement import Statement, dialect_insert, insert_new, p, upsert

T = tables.outbox
L = tables.lanes
P = tables.posts

_OPEN: ColumnElement[bool] = literal_column("state IN ('queued', 'sending')")
_CLOSED: ColumnElement[bool] = literal_column("state NOT IN ('queued', 'sending')")
_QUEUED: ColumnElement[bool] = literal_column("state = 'queued'")
LIMIT = "limit:"  # rows of `lanes` that are no channels but limits of the chat


def _raise_lane(dialect: str) -> object:
    """Make a lane due; one that waits already keeps its time."""
    values = {c.name: p(c.name) for c in L.c}
    core = dialect_insert(dialect, L).values(values)
    earlier = func.coalesce(L.c.next_at, core.excluded.next_at)
    return core.on_conflict_do_update(index_elements=[L.c.lane], set_={"next_at": earlier})


RAISE = Statement(_raise_lane)  # type: ignore[arg-type]
ADD = Statement(insert_new(T, "id"))
SUPERSEDE = Statement(
    update(T)
    .where(
        T.c.lane == p("lane"),
        _QUEUED,
        T.c.kind == literal_column("'update'"),
        T.c.name == p("name"),
        T.c.id != p("id"),
    )
    .values(state="superseded")
)
HAS = Statement(select(T.c.id).where(T.c.id == p("id")))
DUE = Statement(
    select(L.c.lane, L.c.channel, L.c.epoch)
    .where(
        L.c.next_at <= p("now"),
        or_(L.c.owned_until.is_(None), L.c.owned_until <= p("now")),
    )
    .order_by(L.c.next_at)
    .limit(p("limit"))
    .with_for_update(skip_locked=True)
)
HEAD = Statement(
    select(T.c.seq, T.c.id, T.c.kind, T.c.name, T.c.body, T.c.state, T.c.attempts, T.c.at)
    .where(T.c.lane == p("lane"), _OPEN)
    .order_by(T.c.seq)
    .limit(p("limit"))
)
WAITING_EDIT = Statement(
    select(T.c.seq, T.c.body).where(
        T.c.lane == p("lane"),
        _QUEUED,
        T.c.kind == literal_column("'update'"),
        T.c.name == p("name"),
    )
)
REST = Statement(update(L).where(L.c.lane == p("lane")).values(next_at=None, owner=None))
OWN = Statement(
    update(L)
    .where(L.c.lane == p("lane"), L.c.epoch == p("old"))
    .values(owner=p("owner"), owned_until=p("until"), epoch=p("new"))
)
BEGIN = Statement(
    update(T)
    .where(T.c.seq == p("seq"))
    .values(state="sending", attempts=p("attempts"), body=p("body"))
)
CLOSE = Statement(update(T).where(T.c.id == p("id")).values(state=p("state"), error=p("error")))
CLOSE_SEQ = Statement(update(T).where(T.c.seq == p("seq")).values(state="superseded"))
FREE = Statement(
    update(L)
    .where(L.c.lane == p("lane"), L.c.epoch == p("epoch"))
    .values(
        owner=None,
        owned_until=p("next_at"),  # kept where nothing waits, so that what comes soon waits as well
        next_at=p("next_at"),
        channel=func.coalesce(p("channel"), L.c.channel),
        error=p("error"),
    )
)
POST = Statement(upsert(P, ["lane", "name"], ["ref", "at"]))
POSTED = Statement(select(P.c.name, P.c.ref).where(P.c.lane == p("lane"), P.c.name == p("name")))
LANE = Statement(select(L.c.channel, L.c.next_at).where(L.c.lane == p("lane")))
LANE_OF = Statement(select(L.c.lane).where(L.c.channel == p("channel")).order_by(L.c.lane))
HOLD = Statement(upsert(L, ["lane"], ["owned_until"]))
HELD = Statement(select(L.c.owned_until).where(L.c.lane == p("lane")))
BIND = Statement(upsert(L, ["lane"], ["channel"]))
NEXT = Statement(
    select(func.min(func.coalesce(L.c.owned_until, L.c.next_at))).where(L.c.next_at.is_not(None))
)
WAITING = Statement(
    select(T.c.id, T.c.kind, T.c.name, T.c.body)
    .where(T.c.lane == p("lane"), _OPEN)
    .order_by(T.c.seq)
)
TROUBLES = Statement(
    select(L.c.lane, L.c.error)
    .where(and_(L.c.next_at.is_not(None), L.c.error != literal_column("''")))
    .order_by(L.c.lane)
)
PRUNE = Statement(delete(T).where(T.c.at < p("before"), _CLOSED))

_LOOK = 8  # due lanes looked at for one claim


class Outbox(Repository):
    def put(self, parcel: Parcel) -> bool:
        now = self._now()
        # The lane's row first: it is what claims and settles lock, too.
        self._s.run(RAISE, **_lane(parcel.lane, next_at=now))
        taken = self._s.run(
            ADD,
            id=parcel.key,
            lane=parcel.lane,
            kind=parcel.kind,
            name=parcel.name,
            body=dumps(parcel.body),
            state="queued",
            attempts=0,
            error="",
            at=now,
        )
        if taken and parcel.kind == "update":
            self._s.run(SUPERSEDE, lane=parcel.lane, name=parcel.name, id=parcel.key)
        if taken:
            self._s.touch("chat")
        return taken > 0

    def has(self, key: str) -> bool:
        return self._s.one(HAS, id=key) is not None

    def claim(self, owner: str, lease: float) -> Delivery | None:
        now = self._now()
        for lane, channel, epoch in self._s.all(DUE, now=now, limit=_LOOK):
            head = self._s.one(HEAD, lane=lane, limit=1)
            if head is None:
                self._s.run(REST, lane=lane)
                continue
            until = now + int(lease * 1_000_000)
            if not self._s.run(OWN, lane=lane, old=epoch, new=epoch + 1, owner=owner, until=until):
                continue
            return self._begin(lane, channel, epoch + 1, head)
        return None

    def _begin(
        self, lane: str, channel: str | None, epoch: int, head: Sequence[object]
    ) -> Delivery:
        seq, key, kind, name, text, state, attempts, at = head
        body = loads(str(text))
        doubt = state == "sending"
        if kind == "post" and not doubt:
            # Edits that wait already are what is posted: nobody sees buttons that died long ago.
            for edit_seq, edit in self._s.all(WAITING_EDIT, lane=lane, name=name):
                body = {**body, "message": loads(edit)["message"]}
                self._s.run(CLOSE_SEQ, seq=edit_seq)
        made = int(str(attempts)) + 1
        self._s.run(BEGIN, seq=seq, attempts=made, body=dumps(body))
        maybe = None if name is None else str(name)
        parcel = Parcel(str(key), lane, str(kind), maybe, body)
        since = instant(int(str(at)))
        return Delivery(parcel, epoch, doubt, made, channel, self._posts(parcel), since)

    def _posts(self, parcel: Parcel) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in {parcel.name, parcel.body.get("thread")} - {None}:
            row = self._s.one(POSTED, lane=parcel.lane, name=name)
            if row is not None:
                found[row[0]] = row[1]
        return found

    def settle(self, delivery: Delivery, settled: Settled) -> bool:
        now, parcel = self._now(), delivery.parcel
        kept = self._s.run(
            FREE,
            lane=parcel.lane,
            epoch=delivery.epoch,
            next_at=now + int(settled.wait * 1_000_000),
            channel=settled.channel,
            error=clean(settled.error) if settled.state == "queued" else "",
        )
        if not kept:
            return False
        state = "sending" if settled.doubtful else settled.state
        self._s.run(CLOSE, id=parcel.key, state=state, error=clean(settled.error))
        if settled.ref is not None and parcel.name is not None:
            self._s.run(POST, lane=parcel.lane, name=parcel.name, ref=settled.ref, at=now)
        for limit, seconds in settled.hold.items():
            until = now + int(seconds * 1_000_000)
            self._s.run(HOLD, **_lane(LIMIT + limit, owned_until=until))
        if self._s.one(HEAD, lane=parcel.lane, limit=1) is None:
            self._s.run(REST, lane=parcel.lane)
        return True

    def held(self, limit: str) -> float:
        row = self._s.one(HELD, lane=LIMIT + limit)
        if row is None or row[0] is None:
            return 0.0
        until: int = row[0]
        return max(0.0, (until - self._now()) / 1_000_000)

    def next_due(self) -> datetime | None:
        ((following,),) = self._s.all(NEXT)
        return maybe_instant(following)

    def channel(self, lane: str) -> str | None:
        row = self._s.one(LANE, lane=lane)
        return None if row is None else row[0]

    def lane_of(self, channel: str) -> str | None:
        row = self._s.one(LANE_OF, channel=channel)
        return None if row is None else row[0]

    def bind(self, lane: str, channel: str) -> None:
        self._s.run(BIND, **_lane(lane, channel=channel))

    def waiting(self, lane: str) -> Sequence[Parcel]:
        rows = self._s.all(WAITING, lane=lane)
        return [Parcel(row[0], lane, row[1], row[2], loads(row[3])) for row in rows]

    def troubles(self) -> Sequence[tuple[str, str]]:
        return [(lane, error) for lane, error in self._s.all(TROUBLES)]

    def prune(self, before: datetime) -> int:
        return self._s.run(PRUNE, before=micros(before))


def _lane(lane: str, **values: object) -> dict[str, object]:
    empty = dict.fromkeys(("channel", "next_at", "owner", "owned_until"))
    return {"lane": lane, **empty, "epoch": 0, "error": "", **values}
