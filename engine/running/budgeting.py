"""What stands before an intent: kill switch, target locks, blast-radius budgets. One transaction, all or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.domain.plan import Planned, Target
from engine.journal.store import Tx
from engine.running.braking import asking_window, holding_window
from engine.running.lockwaits import wait_for
from engine.running.outcome import PROGRESSED, Carried, Parked
from engine.running.paging import urgent_waits
from engine.running.services import Services
from engine.running.session import Session

KILL_SWITCH = "kill"


_UNBOUNDED = 1 << 62


@dataclass(frozen=True)
class Blocked:
    """Why an intent was not written."""

    kind: str  # brake | window | ask | lock | circle | budget
    reason: str

    def carry(self, session: Session) -> Carried:
        """Journal the reason; a lock parks, a window may ask, a brake or a budget holds the run."""
        if self.kind == "lock":
            session.note("lock.waiting", reason=self.reason)
            session.flush()
            return Parked(None)
        if self.kind == "ask":
            session.note("run.signal", signal="reask", reason=self.reason)
            return PROGRESSED
        if self.kind == "budget":
            session.note("budget.exceeded", reason=self.reason)
        session.note("run.signal", signal="hold", reason=self.reason, brake=self.kind)
        return PROGRESSED


def reserve(
    tx: Tx,
    services: Services,
    session: Session,
    key: str,
    locks: Sequence[Target],
    counts: Mapping[str, int],
    connection: str | None = None,
) -> Blocked | None:
    """Ask the brakes, take the locks, reserve the budgets; or say what is in the way."""
    stopped = paused(tx) or _window(services, session, locks, connection)
    if stopped is not None:
        return stopped
    run_id = session.row.id
    wanted = sorted({*locks, *_planned_targets(session)})
    if wanted:
        conflicts = tx.locks.acquire(run_id, wanted)
        if conflicts:
            waits = wait_for(tx, run_id, conflicts)
            if waits.gives_way:
                return Blocked("circle", waits.reason)
            urgent_waits(tx, session.row, waits.reason)
            return Blocked("lock", waits.reason)
    return _budget(tx, services, session, key, counts, connection)


def paused(tx: Tx, *, undoing: bool = False) -> Blocked | None:
    """The kill switch. A person may have excepted undoing."""
    kill = tx.brakes.get(KILL_SWITCH)
    if kill is None or not kill.engaged or (undoing and kill.body.get("let_undo")):
        return None
    return Blocked("brake", f"paused by {kill.by}: {kill.reason}")


def _window(
    services: Services, session: Session, locks: Sequence[Target], connection: str | None
) -> Blocked | None:
    if not services.brakes.windows:
        return None
    touched = {target.connection for target in locks} | ({connection} if connection else set())
    holding = holding_window(services, session, touched)
    if holding is not None:
        return Blocked("window", holding.reason)
    asking = asking_window(services, session, touched)
    return Blocked("ask", asking.reason) if asking is not None else None


def _planned_targets(session: Session) -> set[Target]:
    """All known targets are locked with the first intent, so that runs do not wait for each other crosswise."""
    if session.document is None:
        return set()
    return {
        step.planned.target
        for step in session.document.steps
        if step.planned is not None and not step.conditional
    }


def _budget(
    tx: Tx,
    services: Services,
    session: Session,
    key: str,
    counts: Mapping[str, int],
    connection: str | None,
) -> Blocked | None:
    waived = session.progress.gates.get("budget")
    free = waived is not None and waived.state == "approved"  # counted all the same
    taken: list[tuple[str, str]] = []
    for scope, unit, limit, window in _limits(services, session, counts, connection):
        missing = tx.budgets.reserve(
            scope,
            unit,
            counts[unit],
            limit=_UNBOUNDED if free else limit,
            window=window,
            run_id=session.row.id,
            key=key,
        )
        if missing > 0:
            for given_scope, given_unit in taken:
                tx.budgets.settle(key, given_scope, given_unit, 0)
            return Blocked(
                "budget",
                f"{counts[unit]} {unit} would exceed the budget {scope} by {missing} (limit {limit})",
            )
        taken.append((scope, unit))
    return None


def count_undo(tx: Tx, services: Services, session: Session, key: str, planned: Planned) -> None:
    """Count what an undo costs. It is never blocked for it."""
    counts, connection = planned.counts, planned.target.connection
    for scope, unit, _, window in _limits(services, session, counts, connection):
        tx.budgets.reserve(
            scope,
            unit,
            counts[unit],
            limit=_UNBOUNDED,
            window=window,
            run_id=session.row.id,
            key=key,
        )


def _limits(
    services: Services, session: Session, counts: Mapping[str, int], connection: str | None
) -> list[tuple[str, str, int, float | None]]:
    """Return (scope, unit, limit, window in seconds) of every budget that a change counts in."""
    found: list[tuple[str, str, int, float | None]] = []
    if not counts:
        return found
    scopes = services.brakes.limits_of(session.program.playbook, connection)
    for unit in sorted(counts):
        if unit in services.budgets:
            limit = services.budgets[unit]
            found.append(("global", unit, limit.limit, limit.within))
        for scope, limits in scopes.items():
            if unit in limits:
                found.append((scope, unit, limits[unit].limit, limits[unit].within))
        if unit in session.program.budget:
            found.append((f"run:{session.row.id}", unit, session.program.budget[unit], None))
    return found


def settle(
    tx: Tx,
    services: Services,
    session: Session,
    key: str,
    planned: Planned,
    counts: Mapping[str, int],
) -> None:
    """Replace the reservations of `key` by what the receipt counted."""
    units = dict.fromkeys(planned.counts, 0)
    for scope, unit, _, _ in _limits(services, session, units, planned.target.connection):
        tx.budgets.settle(key, scope, unit, counts.get(unit, 0))
