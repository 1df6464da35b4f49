"""The brakes around a run: who must be asked before it begins, how many may, and what its end sets off."""

from __future__ import annotations

from datetime import timedelta

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.domain.entry import Entry
from engine.domain.plan import FreshChange, Target
from engine.domain.run import RunMode, RunState
from engine.journal.rows import WARNING, BrakeRow, RunRow
from engine.journal.store import Tx
from engine.language.program import Program
from engine.planning.brakes import BrakeRules, OpenWindow
from engine.planning.document import PlanDocument
from engine.running.services import Services
from engine.running.session import Session

FAILURES = frozenset({RunState.FAILED, RunState.UNDONE, RunState.NEEDS_HUMAN})
PLAYBOOKS = "(playbook)"  # the connection, as no connection is called, of the locks that count runs


def breaker_name(playbook: str) -> str:
    return f"breaker:{playbook}"


def by_itself(session: Session) -> bool:
    """Whether the run goes by itself: nobody has approved any plan of it."""
    return session.row.mode is RunMode.AUTO and session.progress.approved is None


# ---------------------------------------------------------------- before it begins


def asks_a_person(services: Services, session: Session, document: PlanDocument) -> str | None:
    """Say why an automatic run must be approved: an open breaker, or a window that asks."""
    rules = services.brakes
    if rules.breaker_of(session.program) is not None:
        name = breaker_name(session.program.playbook)
        row = services.store.read(lambda tx: tx.brakes.get(name))
        if row is not None and row.engaged:
            return f"the circuit breaker of {session.program.playbook} is open: {row.reason}"
    connections = {
        step.planned.target.connection for step in document.steps if step.planned is not None
    }
    window = asking_window(services, session, connections)
    return window.reason if window is not None else None


def asking_window(
    services: Services, session: Session, connections: set[str] | None
) -> OpenWindow | None:
    """Return the open window that wants a person's approval of what goes by itself."""
    if not services.brakes.windows or not by_itself(session):
        return None
    now, playbook = services.clock.now(), session.program.playbook
    return services.brakes.window("approve", now, playbook, connections)


def holding_window(
    services: Services, session: Session, connections: set[str] | None
) -> OpenWindow | None:
    """Return the open window in which the run changes nothing."""
    if not services.brakes.windows:
        return None
    now, playbook = services.clock.now(), session.program.playbook
    return services.brakes.window("hold", now, playbook, connections)


def slots(playbook: str, at_once: int) -> list[Target]:
    """The locks of which a run takes one: so many, so many runs at a time."""
    return [Target(PLAYBOOKS, f"{playbook}#{number}") for number in range(1, at_once + 1)]


def take_slot(tx: Tx, row: RunRow, at_once: int) -> str | None:
    """Take one of the playbook's places; or say who has them, and be woken when one is free."""
    wanted = slots(row.playbook, at_once)
    held = {target: holder for target, holder in tx.locks.held().items() if target in set(wanted)}
    if row.id in held.values():
        return None
    for target in wanted:
        if target not in held and not tx.locks.acquire(row.id, [target]):
            return None
    tx.locks.wait(row.id, wanted)
    holders = ", ".join(sorted(set(held.values())))
    return f"{at_once} run(s) of {row.playbook} at a time, and {holders} is at work"


# ---------------------------------------------------------------- before a change


def fresh_changes(
    services: Services, session: Session, changes: tuple[FreshChange, ...], target: Target
) -> str | None:
    """Say who else has just changed what an automatic run is about to change."""
    fresh = services.brakes.fresh
    if fresh is None or not changes or not by_itself(session):
        return None
    found = fresh.found(changes, services.clock.now(), session.progress.seen_until)
    if not found:
        return None
    who = "; ".join(map(str, found[:3]))
    return (
        f"somebody else has just changed {target}: {who}. Look, then stanch release "
        f"{session.row.id} to go on all the same"
    )


# ---------------------------------------------------------------- after it ended


def at_end(
    tx: Tx,
    rules: BrakeRules,
    node: str,
    program: Program,
    row: RunRow,
    state: RunState,
    cooldown: float,
) -> None:
    """Start the cooldowns that a run's end starts, and count a failure for the circuit breaker.

    Args:
        node: names the chain that tells of it.
        cooldown: seconds, of the run's rule.
    """
    if row.mode is RunMode.DRY_RUN or row.parent is not None:
        return
    own = rules.cooldown_of(program)
    if own:
        _cool(tx, row, f"cooldown:{row.playbook}", own, state)
    if cooldown and row.rule is not None:
        _cool(tx, row, f"cooldown:rule:{row.rule}", cooldown, state)
    breaker = rules.breaker_of(program)
    if breaker is None or state not in FAILURES:
        return
    name = breaker_name(row.playbook)
    now = tx.now()
    tx.windows.add(name, "", row.id, now)
    failures = tx.windows.count(name, "", now - timedelta(seconds=breaker.within))
    if failures < breaker.failures:
        return
    present = tx.brakes.get(name)
    if present is not None and present.engaged:
        return
    reason = f"{failures} failed runs within {breaker.within:g} s, the last is {row.id}"
    engage(tx, node, BrakeRow(name, True, "stanch", reason, now, {"run": row.id}))
    tx.pages.open(
        name,
        f"the circuit breaker of {row.playbook} has opened: {reason}; people approve its runs until "
        f"stanch rearm {name} --reason WHY",
        WARNING,
        run_id=row.id,
        incident_id=row.incident_id,
    )


def _cool(tx: Tx, row: RunRow, name: str, seconds: float, state: RunState) -> None:
    until = tx.now() + timedelta(seconds=seconds)
    body: JsonObject = {"until": format_time(until), "run": row.id}
    reason = f"run {row.id} ended ({state.value})"
    tx.brakes.set(BrakeRow(name, True, "stanch", reason, tx.now(), body))


def engage(tx: Tx, node: str, row: BrakeRow) -> None:
    """Set a brake and journal it in the node's chain."""
    tx.brakes.set(row)
    body = {"name": row.name, "engaged": row.engaged, "by": row.by, "reason": row.reason}
    tx.journal.append(f"node:{node}", [Entry("brake.set", body)])
