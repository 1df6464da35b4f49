"""Gates, the votes cast at them, and brakes."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, literal_column, select, update

from engine.journal import tables
from engine.journal.codec import clean, dumps, instant, loads, maybe_instant, maybe_micros, micros
from engine.journal.repository import Repository
from engine.journal.rows import BrakeRow, GateRow, VoteRow
from engine.journal.session import Row
from engine.journal.statement import Statement, insert, p, upsert

T = tables.gates
V = tables.votes
C = tables.closings
B = tables.brakes

_COLUMNS = (
    T.c.id,
    T.c.run_id,
    T.c.address,
    T.c.role,
    T.c.approvals,
    T.c.fingerprint,
    T.c.state,
    T.c.opened_at,
    T.c.expires_at,
    T.c.body,
    T.c.closed_at,
    func.coalesce(C.c.by, ""),
    func.coalesce(C.c.reason, ""),
)
_FROM = T.outerjoin(C, C.c.gate_id == T.c.id)
_IS_OPEN = T.c.state == literal_column("'open'")

OPEN = Statement(insert(T))
GET = Statement(select(*_COLUMNS).select_from(_FROM).where(T.c.id == p("id")))
OF_RUN = Statement(
    select(*_COLUMNS).select_from(_FROM).where(T.c.run_id == p("run_id")).order_by(T.c.seq)
)
LIST_OPEN = Statement(select(*_COLUMNS).select_from(_FROM).where(_IS_OPEN).order_by(T.c.seq))
LIST = Statement(select(*_COLUMNS).select_from(_FROM).order_by(T.c.seq))
CLOSE = Statement(
    update(T).where(T.c.id == p("id"), _IS_OPEN).values(state=p("state"), closed_at=p("now"))
)
TELL = Statement(insert(C))
VOTE = Statement(upsert(V, ["gate_id", "actor"], ["via", "decision", "comment", "at"]))
WITHDRAW = Statement(delete(V).where(V.c.gate_id == p("gate_id"), V.c.actor == p("actor")))
VOTES = Statement(
    select(V.c.gate_id, V.c.actor, V.c.via, V.c.decision, V.c.comment, V.c.at)
    .where(V.c.gate_id == p("gate_id"))
    .order_by(V.c.at, V.c.actor)
)
# Holds the gate still, so that two last votes on two nodes see one another.
HOLD = Statement(select(T.c.id).where(T.c.id == p("id")).with_for_update())


def _gate_row(row: Row) -> GateRow:
    return GateRow(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        row[5],
        row[6],
        instant(row[7]),
        maybe_instant(row[8]),
        loads(row[9]),
        maybe_instant(row[10]),
        row[11],
        row[12],
    )


class Gates(Repository):
    def open(self, row: GateRow) -> None:
        self._s.run(
            OPEN,
            id=row.id,
            run_id=row.run_id,
            address=row.address,
            role=row.role,
            approvals=row.approvals,
            fingerprint=row.fingerprint,
            state=row.state,
            opened_at=micros(row.opened_at),
            expires_at=maybe_micros(row.expires_at),
            body=dumps(row.body),
            closed_at=maybe_micros(row.closed_at),
        )

    def get(self, gate_id: str) -> GateRow | None:
        row = self._s.one(GET, id=gate_id)
        return None if row is None else _gate_row(row)

    def of_run(self, run_id: str) -> Sequence[GateRow]:
        return [_gate_row(row) for row in self._s.all(OF_RUN, run_id=run_id)]

    def list(self, *, open_only: bool = True) -> Sequence[GateRow]:
        return [_gate_row(row) for row in self._s.all(LIST_OPEN if open_only else LIST)]

    def vote(self, row: VoteRow) -> None:
        self._s.all(HOLD, id=row.gate_id)
        self._s.run(
            VOTE,
            gate_id=row.gate_id,
            actor=row.actor,
            via=row.via,
            decision=row.decision,
            comment=clean(row.comment),
            at=micros(row.at),
        )

    def withdraw(self, gate_id: str, actor: str) -> bool:
        self._s.all(HOLD, id=gate_id)
        return self._s.run(WITHDRAW, gate_id=gate_id, actor=actor) > 0

    def votes(self, gate_id: str) -> Sequence[VoteRow]:
        return [
            VoteRow(row[0], row[1], row[2], row[3], row[4], instant(row[5]))
            for row in self._s.all(VOTES, gate_id=gate_id)
        ]

    def close(self, gate_id: str, state: str, *, by: str = "", why: str = "") -> bool:
        if not self._s.run(CLOSE, id=gate_id, state=state, now=self._now()):
            return False
        self._s.run(TELL, gate_id=gate_id, by=clean(by), reason=clean(why))
        return True


_BRAKE = (B.c.name, B.c.engaged, B.c.by, B.c.reason, B.c.at, B.c.body)
GET_BRAKE = Statement(select(*_BRAKE).where(B.c.name == p("name")))
SET_BRAKE = Statement(upsert(B, ["name"], ["engaged", "by", "reason", "at", "body"]))
BRAKES = Statement(select(*_BRAKE).order_by(B.c.name))


def _brake_row(row: Row) -> BrakeRow:
    return BrakeRow(row[0], bool(row[1]), row[2], row[3], instant(row[4]), loads(row[5]))


class Brakes(Repository):
    def get(self, name: str) -> BrakeRow | None:
        # Asked before every intent. Where nobody else can write, a whole group of them asks once.
        known = self._s.known
        if not self._s.alone or ("brake", name) not in known:
            row = self._s.one(GET_BRAKE, name=name)
            known["brake", name] = None if row is None else _brake_row(row)
        found: BrakeRow | None = known["brake", name]
        return found

    def set(self, row: BrakeRow) -> None:
        self._s.known.pop(("brake", row.name), None)
        self._s.run(
            SET_BRAKE,
            name=row.name,
            engaged=int(row.engaged),
            by=clean(row.by),
            reason=clean(row.reason),
            at=micros(row.at),
            body=dumps(row.body),
        )
        self._s.touch("runs")

    def list(self) -> Sequence[BrakeRow]:
        return [_brake_row(row) for row in self._s.all(BRAKES)]
