"""Episodes (one stretch of a rule and its `run_per` labels) and the incidents they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import func, select, text, update

from engine.domain.errors import NotFound
from engine.domain.ids import new_id
from engine.domain.incident import IncidentState
from engine.journal import tables
from engine.journal.alerts import _COLUMNS as ALERT_COLUMNS
from engine.journal.alerts import alert_row
from engine.journal.codec import clean, dumps, instant, loads, maybe_instant, maybe_micros, micros
from engine.journal.repository import Repository, newest
from engine.journal.rows import AlertRow, EpisodeRow, IncidentRow, Page
from engine.journal.session import Raced, Row
from engine.journal.statement import ONE, ZERO, Statement, dialect_insert, insert, insert_new, p

T = tables.episodes
A = tables.episode_alerts
I = tables.incidents  # noqa: E741
L = tables.incident_alerts

_COLUMNS = (
    T.c.id,
    T.c.rule,
    T.c.key,
    T.c.opened_at,
    T.c.closed_at,
    T.c.run_id,
    T.c.incident_id,
)


def _open(dialect: str) -> Any:
    values = {c.name: p(c.name) for c in T.c if c.name != "seq"}
    return (
        dialect_insert(dialect, T)
        .values(values)
        .on_conflict_do_nothing(
            index_elements=[T.c.rule, T.c.key], index_where=text("closed_at IS NULL")
        )
    )


_IS_OPEN = T.c.closed_at.is_(None)
FIND = Statement(
    select(*_COLUMNS).where(T.c.rule == p("rule"), T.c.key == p("key"), _IS_OPEN).with_for_update()
)
OPEN = Statement(_open)
SET_RUN = Statement(update(T).where(T.c.id == p("id")).values(run_id=p("run_id")))
JOIN = Statement(insert_new(A, "episode_id", "fingerprint", "starts_at"))
_OF_ALERT = (A.c.fingerprint == p("fingerprint")) & (A.c.starts_at == p("starts_at"))
WITH_ALERT = Statement(
    select(*_COLUMNS)
    .where(_IS_OPEN, T.c.id.in_(select(A.c.episode_id).where(_OF_ALERT)))
    .order_by(T.c.seq)
    .with_for_update()
)
RESOLVE = Statement(
    update(A).where(A.c.episode_id == p("episode_id"), _OF_ALERT).values(resolved=ONE)
)
FIRING = Statement(
    select(func.count())
    .select_from(A)
    .where(A.c.episode_id == p("episode_id"), A.c.resolved == ZERO)
)
CLOSE = Statement(update(T).where(T.c.id == p("id"), _IS_OPEN).values(closed_at=p("now")))
OF_RUN = Statement(
    select(*_COLUMNS).where(T.c.run_id == p("run_id")).order_by(T.c.seq.desc()).limit(ONE)
)
OPEN_OF = Statement(
    select(*_COLUMNS).where(T.c.incident_id == p("incident_id"), _IS_OPEN).order_by(T.c.seq)
)


def episode_row(row: Row) -> EpisodeRow:
    return EpisodeRow(
        id=row[0],
        rule=row[1],
        key=row[2],
        opened_at=instant(row[3]),
        closed_at=maybe_instant(row[4]),
        run_id=row[5],
        incident_id=row[6],
    )


class Episodes(Repository):
    def find_open(self, rule: str, key: str) -> EpisodeRow | None:
        row = self._s.one(FIND, rule=rule, key=clean(key))
        return None if row is None else episode_row(row)

    def open(
        self, rule: str, key: str, *, run_id: str | None, incident_id: str | None
    ) -> EpisodeRow:
        episode = EpisodeRow(
            new_id("ep"), rule, clean(key), self._tx.now(), None, run_id, incident_id
        )
        opened = self._s.run(
            OPEN,
            id=episode.id,
            rule=rule,
            key=episode.key,
            opened_at=micros(episode.opened_at),
            closed_at=None,
            run_id=run_id,
            incident_id=incident_id,
        )
        if not opened:
            raise Raced(f"rule {rule} has an open episode for {key!r} already")
        return episode

    def set_run(self, episode_id: str, run_id: str) -> None:
        self._s.run(SET_RUN, id=episode_id, run_id=run_id)

    def join(self, episode_id: str, fingerprint: str, starts_at: datetime) -> None:
        self._s.later(
            JOIN,
            episode_id=episode_id,
            fingerprint=clean(fingerprint),
            starts_at=micros(starts_at),
            resolved=0,
        )

    def resolve(self, fingerprint: str, starts_at: datetime) -> Sequence[EpisodeRow]:
        alert = {"fingerprint": clean(fingerprint), "starts_at": micros(starts_at)}
        found = [episode_row(row) for row in self._s.all(WITH_ALERT, **alert)]
        for episode in found:
            self._s.run(RESOLVE, episode_id=episode.id, **alert)
        return found

    def firing(self, episode_id: str) -> int:
        ((count,),) = self._s.all(FIRING, episode_id=episode_id)
        return int(count)

    def close(self, episode_id: str) -> None:
        self._s.run(CLOSE, id=episode_id, now=self._now())

    def of_run(self, run_id: str) -> EpisodeRow | None:
        row = self._s.one(OF_RUN, run_id=run_id)
        return None if row is None else episode_row(row)

    def open_of(self, incident_id: str) -> Sequence[EpisodeRow]:
        return [episode_row(row) for row in self._s.all(OPEN_OF, incident_id=incident_id)]


_INCIDENT = (
    I.c.id,
    I.c.title,
    I.c.rule,
    I.c.state,
    I.c.severity,
    I.c.opened_at,
    I.c.resolved_at,
    I.c.body,
)
OPEN_INCIDENT = Statement(insert(I))
GET_INCIDENT = Statement(select(*_INCIDENT).where(I.c.id == p("id")))
HOLD_INCIDENT = Statement(select(*_INCIDENT).where(I.c.id == p("id")).with_for_update())
ADD_ALERT = Statement(insert_new(L, "incident_id", "alert_id"))
ALERTS = Statement(
    select(*ALERT_COLUMNS)
    .join(L, L.c.alert_id == tables.alerts.c.id)
    .where(L.c.incident_id == p("incident_id"))
    .order_by(tables.alerts.c.seq)
)
_R = tables.runs
MERGED_ALERTS = Statement(
    select(L.c.alert_id).where(
        L.c.incident_id == p("source"),
        L.c.alert_id.not_in(select(L.c.alert_id).where(L.c.incident_id == p("into"))),
    )
)
MERGE_EPISODES = Statement(
    update(T).where(T.c.incident_id == p("source"), _IS_OPEN).values(incident_id=p("into"))
)
MERGE_RUNS = Statement(
    update(_R).where(_R.c.incident_id == p("source")).values(incident_id=p("into"))
)
_STILL_OPEN = text("state NOT IN ('resolved', 'closed')")

# How each field that may change is written.
_CHANGES = {
    "title": str,
    "state": lambda state: IncidentState(state).value,
    "severity": str,
    "resolved_at": maybe_micros,
    "body": dumps,
}


def _incident_row(row: Row) -> IncidentRow:
    return IncidentRow(
        id=row[0],
        title=row[1],
        rule=row[2],
        state=IncidentState(row[3]),
        severity=row[4],
        opened_at=instant(row[5]),
        resolved_at=maybe_instant(row[6]),
        body=loads(row[7]),
    )


@cache
def _changing(names: tuple[str, ...]) -> Statement:
    """The update of these columns; compiled once, since every run that ends may make one."""
    return Statement(update(I).where(I.c.id == p("id")).values({name: p(name) for name in names}))


class Incidents(Repository):
    def open(self, row: IncidentRow) -> None:
        self._s.later(
            OPEN_INCIDENT,
            id=row.id,
            title=clean(row.title),
            rule=row.rule,
            state=row.state.value,
            severity=row.severity,
            opened_at=micros(row.opened_at),
            resolved_at=maybe_micros(row.resolved_at),
            body=dumps(row.body),
        )

    def get(self, incident_id: str) -> IncidentRow | None:
        row = self._s.one(GET_INCIDENT, id=incident_id)
        return None if row is None else _incident_row(row)

    def hold(self, incident_id: str) -> IncidentRow | None:
        row = self._s.one(HOLD_INCIDENT, id=incident_id)
        return None if row is None else _incident_row(row)

    def merge(self, source: str, into: str) -> None:
        for (alert,) in self._s.all(MERGED_ALERTS, source=source, into=into):
            self.add_alert(into, alert)
        self._s.run(MERGE_EPISODES, source=source, into=into)
        self._s.run(MERGE_RUNS, source=source, into=into)

    def update(self, incident_id: str, **changes: object) -> None:
        """Change title, state, severity, resolved_at or body.

        Raises:
            NotFound: there is no such incident.
            ValueError: a field that does not change.
        """
        unknown = sorted(set(changes) - set(_CHANGES))
        if unknown:
            raise ValueError(f"an incident's {', '.join(unknown)} cannot be changed")
        if not changes:
            return
        values = {name: _CHANGES[name](value) for name, value in changes.items()}  # type: ignore[operator]
        if not self._s.run(_changing(tuple(sorted(values))), id=incident_id, **values):
            raise NotFound(f"there is no incident {incident_id}")

    def add_alert(self, incident_id: str, alert_id: str) -> None:
        self._s.later(ADD_ALERT, incident_id=incident_id, alert_id=alert_id)

    def alerts(self, incident_id: str) -> Sequence[AlertRow]:
        return [alert_row(row) for row in self._s.all(ALERTS, incident_id=incident_id)]

    def list(self, page: Page, *, open_only: bool = False) -> Sequence[IncidentRow]:
        core = select(*_INCIDENT)
        if open_only:
            core = core.where(_STILL_OPEN)
        return [_incident_row(row) for row in self._s.query(newest(core, I, page))]
