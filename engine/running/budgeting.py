"""What stands before an intent: kill switch, target locks, blast-radius budgets. One transaction, all or none."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from engine.domain.plan import Target
from engine.journal.store import Tx
from engine.running.outcome import PROGRESSED, Carried, Parked
from engine.running.services import Services
from engine.running.session import Session

KILL_SWITCH = "kill"


@dataclass(frozen=True)
class Blocked:
    """Why an intent was not written."""

    kind: str  # brake | lock | budget
    reason: str

    def carry(self, session: Session) -> Carried:
        """Journal the reason; a lock parks, a brake or a budget holds the run."""
        if self.kind == "lock":
            session.note("lock.waiting", reason=self.reason)
            session.flush()
            return Parked(None)
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
) -> Blocked | None:
    """Ask the brakes, take the locks, reserve the budgets; or say what is in the way."""
    kill = tx.brakes.get(KILL_SWITCH)
    if kill is not None and kill.engaged:
        return Blocked("brake", f"paused by {kill.by}: {kill.reason}")
    run_id = session.row.id
    wanted = sorted({*locks, *_planned_targets(session)})
    if wanted:
        conflicts = tx.locks.acquire(run_id, wanted)
        if conflicts:
            tx.locks.wait(run_id, sorted(conflicts))
            target, holder = next(iter(sorted(conflicts.items())))
            return Blocked("lock", f"{target} is locked by {holder}")
    return _budget(tx, services, session, key, counts)


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
    tx: Tx, services: Services, session: Session, key: str, counts: Mapping[str, int]
) -> Blocked | None:
    waived = session.progress.gates.get("budget")
    if waived is not None and waived.state == "approved":
        return None
    taken: list[tuple[str, str]] = []
    for scope, unit, limit, window in _limits(services, session, counts):
        missing = tx.budgets.reserve(
            scope,
            unit,
            counts[unit],
            limit=limit,
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


def _limits(
    services: Services, session: Session, counts: Mapping[str, int]
) -> list[tuple[str, str, int, float | None]]:
    found: list[tuple[str, str, int, float | None]] = []
    for unit in sorted(counts):
        if unit in services.budgets:
            limit = services.budgets[unit]
            found.append(("global", unit, limit.limit, limit.within))
        if unit in session.program.budget:
            found.append((f"run:{session.row.id}", unit, session.program.budget[unit], None))
    return found


def settle(
    tx: Tx,
    services: Services,
    session: Session,
    key: str,
    units: Collection[str],
    counts: Mapping[str, int],
) -> None:
    """Replace the reservations of `key` by what the receipt counted."""
    for scope, unit, _, _ in _limits(services, session, dict.fromkeys(units, 0)):
        tx.budgets.settle(key, scope, unit, counts.get(unit, 0))
