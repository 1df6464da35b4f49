"""Runs: who owns them, what is ready, and the one way to become an owner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import case, func, literal_column, null, select, union_all, update

from engine.domain.ageing import HIGHEST, Waiting, overdue
from engine.domain.errors import StaleOwner
from engine.domain.run import ENDS, RunMode, RunState
from engine.journal import tables
from engine.journal.codec import clean, dumps, instant, loads, maybe_instant, maybe_micros, micros
from engine.journal.repository import Repository, newest_of
from engine.journal.rows import Page, RunRow
from engine.journal.session import Row
from engine.journal.statement import ONE, ZERO, Statement, insert, p

T = tables.runs

_COLUMNS = (
    T.c.id,
    T.c.playbook,
    T.c.program,
    T.c.rule,
    T.c.incident_id,
    T.c.state,
    T.c.mode,
    T.c.priority,
    T.c.inputs,
    T.c.trigger,
    T.c.requester,
    T.c.created_at,
    T.c.ended_at,
    T.c.epoch,
    T.c.owner,
    T.c.reason,
    T.c.concurrency_group,
    T.c.parent,
)
_OWNED = (T.c.id == p("id")) & (T.c.epoch == p("epoch")) & T.c.owner.is_not(None)

CREATE = Statement(insert(T))
GET = Statement(select(*_COLUMNS).where(T.c.id == p("id")))
BEGINS = Statement(
    select(*_COLUMNS)
    .where(T.c.id >= p("text"), T.c.id < p("after"))
    .order_by(T.c.id)
    .limit(p("limit"))
)
ENDS_WITH = Statement(
    select(*_COLUMNS).where(T.c.id.like(p("pattern"), escape="!")).limit(p("limit"))
)
ACTIVE = Statement(
    select(*_COLUMNS)
    .where(T.c.concurrency_group == p("group"), T.c.ended_at.is_(None))
    .order_by(T.c.seq)
)
HURRY = Statement(
    update(T)
    .where(T.c.id == p("id"), T.c.priority < p("priority"), T.c.ended_at.is_(None))
    .values(priority=p("priority"))
)


def _claim(least: int) -> Statement:
    """Claim the `limit` most urgent that are ready, of a priority of at least `least`."""
    picked = (
        select(T.c.seq)
        .where(T.c.ready == ONE, T.c.owner.is_(None), T.c.priority >= literal_column(str(least)))
        .order_by(T.c.priority.desc(), T.c.seq)
        .limit(p("limit"))
        .with_for_update(skip_locked=True)
        .cte("picked")
    )
    return Statement(
        update(T)
        .where(T.c.seq.in_(select(picked.c.seq)))
        .values(owner=p("owner"), epoch=T.c.epoch + ONE, ready=ZERO)
        .returning(*_COLUMNS, T.c.seq)
    )


CLAIM = _claim(0)
CLAIM_P0 = _claim(HIGHEST + 1)
# The oldest of each priority that waiting can raise, each by one step into the index of what is ready.
HEADS = Statement(
    union_all(
        *(
            select(
                select(T.c.seq, T.c.priority, T.c.created_at)
                .where(
                    T.c.ready == ONE,
                    T.c.owner.is_(None),
                    T.c.priority == literal_column(str(level)),
                )
                .order_by(T.c.seq)
                .limit(ONE)
                .subquery()
            )
            for level in range(HIGHEST)
        )
    )
)
CLAIM_ONE = Statement(
    update(T)
    .where(T.c.seq == p("seq"), T.c.ready == ONE, T.c.owner.is_(None))
    .values(owner=p("owner"), epoch=T.c.epoch + ONE, ready=ZERO)
    .returning(*_COLUMNS, T.c.seq)
)
ANY_READY = Statement(select(T.c.seq).where(T.c.ready == ONE, T.c.owner.is_(None)).limit(ONE))
MOVE = Statement(
    update(T)
    .where(_OWNED)
    .values(
        state=func.coalesce(p("state"), T.c.state),
        reason=func.coalesce(p("reason"), T.c.reason),
        ended_at=case(
            (p("ending") == ONE, p("now")),
            (p("ending") == literal_column("-1"), null()),
            else_=T.c.ended_at,
        ),
    )
)
RELEASE = Statement(
    update(T)
    .where(_OWNED)
    .values(owner=null(), ready=case((p("ready") == ONE, ONE), else_=T.c.ready))
)
END = Statement(
    update(T)
    .where(_OWNED)
    .values(state=p("state"), reason=p("reason"), ended_at=p("now"), owner=null())
)
OWNED = Statement(select(T.c.id, T.c.epoch).where(T.c.owner == p("worker")))
WAKE = Statement(update(T).where(T.c.id == p("id"), T.c.ready == ZERO).values(ready=ONE))
COUNTS = Statement(select(T.c.state, func.count()).group_by(T.c.state))
FOUND_AT_MOST = 10


@cache
def listing(states: int | None, given: frozenset[str]) -> Statement:
    """The list by what is given; kept, since putting one together costs a hundred times its run."""
    core = select(*_COLUMNS)
    if states is not None:
        core = core.where(T.c.state.in_([p(f"state{n}") for n in range(states)]))
    for name in sorted(given & {"incident_id", "playbook"}):
        core = core.where(T.c[name] == p(name))
    return Statement(newest_of(core, T, paged="before" in given))


def _urgent_first(row: Row) -> tuple[int, int]:
    return -row[7], row[-1]


def run_row(row: Row) -> RunRow:
    return RunRow(
        id=row[0],
        playbook=row[1],
        program=row[2],
        rule=row[3],
        incident_id=row[4],
        state=RunState(row[5]),
        mode=RunMode(row[6]),
        priority=row[7],
        inputs=loads(row[8]),
        trigger=loads(row[9]),
        requester=row[10],
        created_at=instant(row[11]),
        ended_at=maybe_instant(row[12]),
        epoch=row[13],
        owner=row[14],
        reason=row[15],
        group=row[16],
        parent=row[17],
    )


def stale(run_id: str, epoch: int) -> StaleOwner:
    return StaleOwner(
        f"run {run_id} is not owned under epoch {epoch} any more; nothing was written"
    )


class Runs(Repository):
    def create(self, row: RunRow) -> None:
        self._s.later(
            CREATE,
            id=row.id,
            playbook=row.playbook,
            program=row.program,
            rule=row.rule,
            incident_id=row.incident_id,
            state=row.state.value,
            mode=row.mode.value,
            priority=row.priority,
            inputs=dumps(row.inputs),
            trigger=dumps(row.trigger),
            requester=clean(row.requester),
            created_at=micros(row.created_at),
            ended_at=maybe_micros(row.ended_at),
            epoch=row.epoch,
            owner=row.owner,
            ready=1,
            reason=clean(row.reason),
            concurrency_group=None if row.group is None else clean(row.group),
            parent=row.parent,
        )
        self._s.touch("runs")

    def get(self, run_id: str) -> RunRow | None:
        row = self._s.one(GET, id=run_id)
        return None if row is None else run_row(row)

    def hurry(self, run_id: str, priority: int) -> bool:
        return self._s.run(HURRY, id=run_id, priority=priority) > 0

    def find(self, text: str) -> Sequence[RunRow]:
        text = clean(text)
        if not text:
            return []
        after = text[:-1] + chr(ord(text[-1]) + 1)
        rows = list(self._s.all(BEGINS, text=text, after=after, limit=FOUND_AT_MOST))
        if not rows:
            pattern = "%" + "".join(f"!{c}" if c in "!%_" else c for c in text)
            rows = list(self._s.all(ENDS_WITH, pattern=pattern, limit=FOUND_AT_MOST))
            rows = [row for row in rows if row[0].endswith(text)]  # LIKE ignores case on SQLite
        return [run_row(row) for row in rows]

    def list(
        self,
        page: Page,
        *,
        states: Iterable[RunState] | None = None,
        incident_id: str | None = None,
        playbook: str | None = None,
    ) -> Sequence[RunRow]:
        names = None if states is None else [state.value for state in states]
        if names == []:
            return []
        values = {f"state{n}": name for n, name in enumerate(names or ())}
        given = {"incident_id": incident_id, "playbook": playbook, "before": page.before}
        values |= {name: value for name, value in given.items() if value is not None}
        statement = listing(None if names is None else len(names), frozenset(values))
        return [run_row(row) for row in self._s.all(statement, **values, limit=page.limit)]

    def active_in_group(self, group: str) -> Sequence[RunRow]:
        # Two nodes that each start a first run of the group would otherwise see none.
        self._s.serialise(f"group {group}")
        return [run_row(row) for row in self._s.all(ACTIVE, group=clean(group))]

    def claim(self, worker: str, limit: int, p0: int = 0) -> Sequence[RunRow]:
        # Asked again and again while nothing is ready: then nothing is written and nothing synced.
        if limit + p0 <= 0 or self._s.one(ANY_READY) is None:
            return []
        if not self._tx.worker_rows.may_own(worker):
            return []
        rows = self._most_urgent(worker, limit) if limit > 0 else []
        if len(rows) == limit and p0 > 0:  # fewer than asked for: no P0 is left either
            rows = [*rows, *self._s.take(CLAIM_P0, owner=worker, limit=p0)]
        return [run_row(row) for row in sorted(rows, key=_urgent_first)]

    def _most_urgent(self, worker: str, limit: int) -> Sequence[Row]:
        rows = sorted(self._s.take(CLAIM, owner=worker, limit=limit), key=_urgent_first)
        older = self._overdue(worker, rows[-1]) if len(rows) == limit else None
        return rows if older is None else [*rows[:-1], older]

    def _overdue(self, worker: str, taken: Any) -> Any:
        """Claim a run that has waited so long that it goes before the least urgent of those just taken."""
        now = self._now()
        last = Waiting(taken[-1], taken[7], (now - taken[11]) / 1e6)
        heads = [
            Waiting(seq, priority, (now - made) / 1e6) for seq, priority, made in self._s.all(HEADS)
        ]
        chosen = overdue(last, heads)
        if chosen is None:
            return None
        rows = self._s.take(CLAIM_ONE, owner=worker, seq=chosen.seq)
        if not rows:
            return None  # another node was quicker
        given_back = run_row(taken)
        self.release(given_back.id, given_back.epoch, ready=True)
        return rows[0]

    def update(
        self,
        run_id: str,
        epoch: int,
        *,
        state: RunState | None = None,
        reason: str | None = None,
        ended: bool = False,
    ) -> None:
        # A person's retry takes an ended run up again: it has then not ended.
        ending = 1 if ended else (-1 if state is not None and state not in ENDS else 0)
        changed = self._s.run(
            MOVE,
            id=run_id,
            epoch=epoch,
            state=None if state is None else state.value,
            reason=None if reason is None else clean(reason),
            ending=ending,
            now=self._now(),
        )
        if not changed:
            raise stale(run_id, epoch)

    def end(self, run_id: str, epoch: int, state: RunState, reason: str) -> None:
        ended = self._s.run(
            END, id=run_id, epoch=epoch, state=state.value, reason=clean(reason), now=self._now()
        )
        if not ended:
            raise stale(run_id, epoch)
        self._s.touch("runs")

    def release(self, run_id: str, epoch: int, *, ready: bool = False) -> None:
        if not self._s.run(RELEASE, id=run_id, epoch=epoch, ready=int(ready)):
            raise stale(run_id, epoch)
        self._s.touch("runs")

    def owned(self, worker: str) -> Mapping[str, int]:
        return dict(self._s.all(OWNED, worker=worker))

    def wake(self, run_id: str) -> None:
        if self._s.run(WAKE, id=run_id):
            self._s.touch("runs")

    def wake_all(self, run_ids: Iterable[str]) -> None:
        rows: list[dict[str, Any]] = [{"id": run_id} for run_id in run_ids]
        if rows:
            self._s.many(WAKE, rows)
            self._s.touch("runs")

    def counts(self) -> Mapping[RunState, int]:
        return {RunState(state): int(count) for state, count in self._s.all(COUNTS)}
