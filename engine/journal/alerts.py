"""Alerts as they were accepted, and the deliveries that have something to show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, cast, func, select, update

from engine.domain.alert import Alert, AlertStatus, Delivery
from engine.domain.ids import new_id
from engine.journal import tables
from engine.journal.codec import clean, dumps, instant, loads, maybe_instant, maybe_micros, micros
from engine.journal.repository import Repository, newest
from engine.journal.rows import AlertRow, DeliveryRow, Page
from engine.journal.session import Row
from engine.journal.statement import ONE, ZERO, Statement, dialect_insert, insert, p

T = tables.alerts
D = tables.deliveries

_COLUMNS = (
    T.c.id,
    T.c.fingerprint,
    T.c.status,
    T.c.labels,
    T.c.annotations,
    T.c.starts_at,
    T.c.ends_at,
    T.c.generator_url,
    T.c.receiver,
    T.c.group_key,
    T.c.group_labels,
    T.c.received_at,
    T.c.decided,
    T.c.deliveries,
)


_IDENTITY = (T.c.fingerprint, T.c.starts_at, T.c.status)


def _add(dialect: str) -> Any:
    values = {c.name: p(c.name) for c in T.c if c.name not in {"seq", "decided", "deliveries"}}
    core = dialect_insert(dialect, T).values({**values, "decided": ZERO, "deliveries": ONE})
    return core.on_conflict_do_nothing(index_elements=_IDENTITY)


ADD = Statement(_add)
AGAIN = Statement(
    update(T)
    .where(*(column == p(column.name) for column in _IDENTITY), T.c.id != p("id"))
    .values(deliveries=T.c.deliveries + ONE, last_at=p("last_at"))
    .returning(T.c.id)
)
UNDECIDED = Statement(
    select(*_COLUMNS)
    .where(T.c.decided == ZERO)
    .order_by(T.c.seq)
    .limit(p("limit"))
    .with_for_update(skip_locked=True)
)


AHEAD = Statement(
    select(*_COLUMNS, T.c.seq)
    .where(T.c.decided == ZERO, T.c.seq > p("after"))
    .order_by(T.c.seq)
    .limit(p("limit"))
)


def _claim(dialect: str) -> Any:
    if dialect == "sqlite":
        ids = select(func.json_each(p("ids")).table_valued("value").c.value)
    else:
        ids = select(func.json_array_elements_text(cast(p("ids"), JSON)).column_valued("value"))
    return (
        select(T.c.id)
        .where(T.c.id.in_(ids), T.c.decided == ZERO)
        .with_for_update(skip_locked=True, of=T)
    )


CLAIM = Statement(_claim)
DECIDED = Statement(update(T).where(T.c.id == p("id")).values(decided=ONE))
GET = Statement(select(*_COLUMNS).where(T.c.id == p("id")))
RESOLVED = Statement(
    select(T.c.id).where(
        T.c.fingerprint == p("fingerprint"),
        T.c.starts_at == p("starts_at"),
        T.c.status == p("status"),
    )
)
LAST = Statement(select(func.max(T.c.last_at)).where(T.c.name == p("name")))
ADD_DELIVERY = Statement(insert(D))


def alert_row(row: Row) -> AlertRow:
    alert = Alert(
        fingerprint=row[1],
        status=AlertStatus(row[2]),
        labels=loads(row[3]),
        annotations=loads(row[4]),
        starts_at=instant(row[5]),
        ends_at=maybe_instant(row[6]),
        generator_url=row[7],
    )
    return AlertRow(
        id=row[0],
        alert=alert,
        receiver=row[8],
        group_key=row[9],
        group_labels=loads(row[10]),
        received_at=instant(row[11]),
        decided=bool(row[12]),
        deliveries=row[13],
    )


class Alerts(Repository):
    def accept(self, delivery: Delivery) -> Sequence[tuple[str, bool]]:
        now = self._now()
        receiver, group_key = clean(delivery.receiver), clean(delivery.group_key)
        group_labels = dumps(dict(delivery.group_labels))
        rows: list[dict[str, Any]] = [
            {
                "id": new_id("alert"),
                "fingerprint": clean(alert.fingerprint),
                "status": alert.status.value,
                "starts_at": micros(alert.starts_at),
                "ends_at": maybe_micros(alert.ends_at),
                "name": clean(alert.name),
                "labels": dumps(dict(alert.labels)),
                "annotations": dumps(dict(alert.annotations)),
                "generator_url": clean(alert.generator_url),
                "receiver": receiver,
                "group_key": group_key,
                "group_labels": group_labels,
                "received_at": now,
                "last_at": now,
            }
            for alert in delivery.alerts
        ]
        # One statement for all of them; which were known already is asked only where some were.
        if self._s.many(ADD, rows) == len(rows):
            answer = [(row["id"], True) for row in rows]
        else:
            answer = [self._known(row) for row in rows]
        if delivery.truncated or delivery.over_limit or delivery.unreadable:
            self._record(delivery, receiver, group_key, now)
        self._s.touch("alerts")
        return answer

    def _known(self, row: Mapping[str, Any]) -> tuple[str, bool]:
        """Count one more delivery of an alert, unless it was this one that brought it."""
        found = self._s.take(AGAIN, **row)
        return (found[0][0], False) if found else (row["id"], True)

    def _record(self, delivery: Delivery, receiver: str, group_key: str, now: int) -> None:
        unreadable = [{"reason": each.reason, "raw": each.raw} for each in delivery.unreadable]
        self._s.run(
            ADD_DELIVERY,
            id=new_id("delivery"),
            received_at=now,
            receiver=receiver,
            group_key=group_key,
            truncated=delivery.truncated,
            over_limit=delivery.over_limit,
            unreadable=dumps(unreadable),
        )

    def undecided(self, limit: int) -> Sequence[AlertRow]:
        return [alert_row(row) for row in self._s.all(UNDECIDED, limit=limit)]

    def ahead(self, after: int, limit: int) -> tuple[Sequence[AlertRow], int]:
        rows = self._s.all(AHEAD, after=after, limit=limit)
        return [alert_row(row) for row in rows], rows[-1][-1] if rows else after

    def claim(self, ids: Iterable[str]) -> Set[str]:
        return {row[0] for row in self._s.all(CLAIM, ids=dumps(list(ids)))}

    def hold(self, alerts: Iterable[Alert]) -> None:
        if self._s.alone:
            return
        # In one order everywhere, so that two nodes do not wait for each other.
        for name in sorted({f"alert {a.fingerprint} {micros(a.starts_at)}" for a in alerts}):
            self._s.serialise(name)

    def mark_decided(self, ids: Iterable[str]) -> None:
        self._s.many(DECIDED, ({"id": alert_id} for alert_id in ids))

    def get(self, alert_id: str) -> AlertRow | None:
        row = self._s.one(GET, id=alert_id)
        return None if row is None else alert_row(row)

    def list(self, page: Page, *, labels: Mapping[str, str] | None = None) -> Sequence[AlertRow]:
        core = select(*_COLUMNS)
        for name, value in (labels or {}).items():
            # Labels are stored as canonical JSON of a flat map, where `"name":"value"` can be nothing else.
            pair = dumps({name: value}).strip()[1:-1]
            core = core.where(self._tx.contains(T.c.labels, pair))
        return [alert_row(row) for row in self._s.query(newest(core, T, page))]

    def is_resolved(self, fingerprint: str, starts_at: datetime) -> bool:
        found = self._s.one(
            RESOLVED,
            fingerprint=clean(fingerprint),
            starts_at=micros(starts_at),
            status=AlertStatus.RESOLVED.value,
        )
        return found is not None

    def last_received(self, name: str) -> datetime | None:
        ((last,),) = self._s.all(LAST, name=clean(name))
        return maybe_instant(last)

    def deliveries(self, page: Page) -> Sequence[DeliveryRow]:
        core = select(
            D.c.id,
            D.c.received_at,
            D.c.receiver,
            D.c.group_key,
            D.c.truncated,
            D.c.over_limit,
            D.c.unreadable,
        )
        return [
            DeliveryRow(
                row[0], instant(row[1]), row[2], row[3], row[4], row[5], tuple(loads(row[6]))
            )
            for row in self._s.query(newest(core, D, page))
        ]
