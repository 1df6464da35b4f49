"""What rules decided and why, what is to be asked again, and the windows that `count` and `throttle` need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import delete, func, select, update

from engine.journal import tables
from engine.journal.codec import clean, instant, maybe_instant, micros
from engine.journal.repository import Repository, newest_of
from engine.journal.rows import DecisionRow, Page
from engine.journal.statement import Statement, insert, insert_new, p, upsert

T = tables.decisions
P = tables.postponed
W = tables.window_members
H = tables.throttles
F = tables.schedule_fires

ADD = Statement(insert(T))
POSTPONE = Statement(upsert(P, ["alert_id", "rule"], ["due", "busy_group"]))
RELEASE = Statement(
    update(P).where(P.c.busy_group == p("group"), P.c.due > p("now")).values(due=p("now"))
)
DUE = Statement(
    select(P.c.alert_id, P.c.rule)
    .where(P.c.due <= p("now"))
    .order_by(P.c.due)
    .limit(p("limit"))
    .with_for_update(skip_locked=True)
)
NEXT_DUE = Statement(select(func.min(P.c.due)))
DONE = Statement(delete(P).where(P.c.alert_id == p("alert_id"), P.c.rule == p("rule")))

ADD_MEMBER = Statement(insert_new(W, "rule", "key", "member"))
CLEAR = Statement(delete(W).where(W.c.rule == p("rule"), W.c.key == p("key")))
COUNT = Statement(
    select(func.count())
    .select_from(W)
    .where(W.c.rule == p("rule"), W.c.key == p("key"), W.c.at >= p("since"))
)
LAST_RUN = Statement(select(H.c.at).where(H.c.rule == p("rule"), H.c.key == p("key")))
SET_LAST_RUN = Statement(upsert(H, ["rule", "key"], ["at"]))

FIRE = Statement(insert_new(F, "schedule", "at"))
LAST_FIRE = Statement(select(func.max(F.c.at)).where(F.c.schedule == p("schedule")))


@cache
def listing(given: frozenset[str]) -> Statement:
    """The list by what is given; kept, since putting one together costs a hundred times its run."""
    core = select(
        T.c.id, T.c.alert_id, T.c.rule, T.c.verdict, T.c.reason, T.c.at, T.c.run_id, T.c.incident_id
    )
    for name in sorted(given - {"before"}):
        core = core.where(T.c[name] == p(name))
    return Statement(newest_of(core, T, paged="before" in given))


class Decisions(Repository):
    def add(self, row: DecisionRow) -> None:
        self._s.later(
            ADD,
            id=row.id,
            alert_id=row.alert_id,
            rule=row.rule,
            verdict=row.verdict,
            reason=clean(row.reason),
            at=micros(row.at),
            run_id=row.run_id,
            incident_id=row.incident_id,
        )

    def list(
        self,
        page: Page,
        *,
        alert_id: str | None = None,
        rule: str | None = None,
        run_id: str | None = None,
        incident_id: str | None = None,
    ) -> Sequence[DecisionRow]:
        given = {
            "alert_id": alert_id,
            "rule": rule,
            "run_id": run_id,
            "incident_id": incident_id,
            "before": page.before,
        }
        values = {name: value for name, value in given.items() if value is not None}
        return [
            DecisionRow(row[0], row[1], row[2], row[3], row[4], instant(row[5]), row[6], row[7])
            for row in self._s.all(listing(frozenset(values)), **values, limit=page.limit)
        ]

    def postpone(
        self, alert_id: str, rule: str, due: datetime, *, group: str | None = None
    ) -> None:
        group = None if group is None else clean(group)
        self._s.run(POSTPONE, alert_id=alert_id, rule=rule, due=micros(due), busy_group=group)
        self._s.touch("alerts")

    def release(self, group: str) -> int:
        count = self._s.run(RELEASE, group=clean(group), now=self._now())
        if count:
            self._s.touch("alerts")
        return count

    def due(self, limit: int) -> Sequence[tuple[str, str]]:
        return [(row[0], row[1]) for row in self._s.all(DUE, now=self._now(), limit=limit)]

    def next_due(self) -> datetime | None:
        ((due,),) = self._s.all(NEXT_DUE)
        return maybe_instant(due)

    def done(self, alert_id: str, rule: str) -> bool:
        return self._s.run(DONE, alert_id=alert_id, rule=rule) > 0


class Windows(Repository):
    def add(self, rule: str, key: str, member: str, at: datetime) -> None:
        # Two nodes that each add one would otherwise both count without the other's.
        self._s.serialise(f"window {rule} {key}")
        self._s.run(ADD_MEMBER, rule=rule, key=clean(key), member=clean(member), at=micros(at))

    def count(self, rule: str, key: str, since: datetime) -> int:
        ((count,),) = self._s.all(COUNT, rule=rule, key=clean(key), since=micros(since))
        return int(count)

    def clear(self, rule: str, key: str) -> None:
        self._s.run(CLEAR, rule=rule, key=clean(key))

    def last_run(self, rule: str, key: str) -> datetime | None:
        self._s.serialise(f"throttle {rule} {key}")
        row = self._s.one(LAST_RUN, rule=rule, key=clean(key))
        return None if row is None else instant(row[0])

    def set_last_run(self, rule: str, key: str, at: datetime) -> None:
        self._s.run(SET_LAST_RUN, rule=rule, key=clean(key), at=micros(at))


class Schedules(Repository):
    def fire(self, schedule: str, at: datetime) -> bool:
        return self._s.run(FIRE, schedule=schedule, at=micros(at)) > 0

    def last(self, schedule: str) -> datetime | None:
        ((last,),) = self._s.all(LAST_FIRE, schedule=schedule)
        return maybe_instant(last)
