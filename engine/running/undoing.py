"""Undo: before-images put back, newest first. One code for `on_failure: undo`, cancel, restore, `stanch undo`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.contract.action import Change
from engine.domain.canonical import Json, JsonObject
from engine.domain.entry import Entry
from engine.domain.errors import ActionFailed, Category, InvalidInput
from engine.domain.plan import Planned, Receipt, to_json
from engine.domain.run import RunState
from engine.journal.store import Tx
from engine.language.program import RestoreNode
from engine.planning.moves import Place
from engine.planning.progress import ChangeState, StepState
from engine.planning.retry import Again, decide
from engine.running.budgeting import Blocked, count_undo, paused
from engine.running.changes import changes_of, named, of_scope, override_of, source_of
from engine.running.images import before_image
from engine.running.outcome import PROGRESSED, Carried
from engine.running.services import Moment, Services
from engine.running.session import Session

MAX_TRIES = 3


@dataclass(frozen=True)
class Undone:
    """What undoing one change came to. `problem` is empty where it is undone."""

    problem: str = ""
    conflict: bool = False
    receipt: Receipt | None = None


class _Held(Exception):
    """Undoing stops here: the kill switch or a person holds the run. It goes on where it was."""


def undo_key(key: str) -> str:
    """The key of the undo of the effect `key`."""
    return f"undo-{key}"


def undo_one(services: Services, session: Session, change: ChangeState, source: str) -> Undone:
    """Undo one change of the run `source`, with intent before and outcome after.

    What others changed since is a conflict, named; the change is then left as it is.
    """
    planned = Planned.from_json(services.connections.reveal(change.planned))
    if not planned.reversible:
        return Undone(planned.why_irreversible or "it cannot be undone")
    action = services.registry.action(planned.action)
    assert isinstance(action, Change)
    if change.undoing and not action.protection_of(planned).retry_safe:
        return Undone("an undo was interrupted, and the target cannot tell whether it happened")
    try:
        receipt = Receipt.from_json(change.receipt, before_image(services, source, change))
    except InvalidInput as error:
        return Undone(str(error))
    override = override_of(session)
    body: JsonObject = {
        "of": change.key,
        "address": change.address,
        "key": undo_key(change.key),
        "attempt": change.undo_attempt + 1,
        "action": planned.action,
        "target": str(planned.target),
        "before": to_json(planned.after),
        "after": to_json(planned.before),
        **({"override": override} if override else {}),
    }

    def guard(tx: Tx) -> Blocked | None:
        blocked = paused(tx, undoing=True)
        if blocked is None:
            count_undo(tx, services, session, undo_key(change.key), planned)
        return blocked

    written = session.flush(guard, ("undo.intent", body))
    if written.blocked is not None:
        written.blocked.carry(session)
    if written.blocked is not None or written.stopped:
        raise _Held
    told = Moment("undo", session.row.id, change.address, 1)
    return _try(
        services, action, planned, receipt, undo_key(change.key), told, overriding=bool(override)
    )


def _try(
    services: Services,
    action: Change[Any],
    planned: Planned,
    receipt: Receipt,
    key: str,
    told: Moment,
    *,
    overriding: bool,
) -> Undone:
    for attempt in range(1, MAX_TRIES + 1):
        world = services.connections.world(writable=True, overriding=overriding)
        try:
            services.on_moment(replace(told, attempt=attempt))
            undone = action.undo(planned, receipt, world, key)
            services.on_moment(replace(told, phase="undone", attempt=attempt))
            return Undone(receipt=undone)
        except ActionFailed as error:
            again = decide(error.category, attempt, None, retry_after=error.retry_after)
            safe = action.protection_of(planned).retry_safe
            if isinstance(again, Again) and safe and attempt < MAX_TRIES:
                services.clock.sleep(min(again.delay, 5.0))
                continue
            return Undone(str(error), error.category is Category.DATA)
        except Exception as error:  # noqa: BLE001  a plugin's fault: a person must look
            return Undone(f"{type(error).__name__}: {error}")
    return Undone("it was tried and did not succeed")


def undo_all(
    services: Services,
    session: Session,
    changes: Sequence[ChangeState],
    source: str,
    told: Callable[[ChangeState, Undone], None] | None = None,
) -> list[str]:
    """Undo `changes` newest first; return the problems. One conflict does not keep the others from being undone.

    Raises:
        _Held: the kill switch or a person holds the run; what is left is undone when it goes on.
    """
    problems: list[str] = []
    held = session.progress.hold
    for change in reversed(changes):
        if change.undone:
            continue
        if session.progress.hold is not None and held is None:
            raise _Held
        result = undo_one(services, session, change, source)
        state = "undone" if not result.problem else "failed"
        session.note(
            "undo.outcome",
            of=change.key,
            address=change.address,
            state=state,
            message=result.problem,
            conflict=result.conflict,
            receipt=result.receipt.as_json() if result.receipt else None,
        )
        if result.problem:
            problems.append(f"{change.address}: {result.problem}")
        if told is not None:
            told(change, result)
        session.flush()
    return problems


def carry_undo(services: Services, session: Session, scope: str) -> Carried:
    """Carry out an automatic undo, covered by the run's own approval."""
    if session.progress.state is not RunState.UNDOING:
        session.move(RunState.UNDOING, "undoing the run's changes")
    try:
        problems = undo_all(services, session, of_scope(session, scope), session.row.id)
    except _Held:
        return PROGRESSED
    session.note("undo.done", scope=scope, problems=problems)
    session.move(RunState.RUNNING, "undone" if not problems else "undone as far as possible")
    return PROGRESSED


def carry_restore(
    services: Services,
    session: Session,
    address: str,
    node: RestoreNode,
    place: Place,
    state: StepState | None,
) -> Carried:
    """Put back what the named steps changed, in reverse."""
    source = source_of(session)
    if source != session.row.id:
        return _restore_other(services, session, address, node, source, state)
    names = [scope + name for scope in place.scopes for name in node.restore]
    changes = [item for item in session.progress.changes if named(item.address, names)]
    try:
        problems = undo_all(services, session, changes, source)
    except _Held:
        return PROGRESSED
    _restored_outcome(session, address, [item.address for item in changes], problems)
    return PROGRESSED


def _restore_other(
    services: Services,
    session: Session,
    address: str,
    node: RestoreNode,
    source: str,
    state: StepState | None,
) -> Carried:
    """An undo run: the source's changes are taken into this run's own record first, then undone."""
    del state
    wanted = [
        item
        for item in changes_of(services, source)
        if not item.undone and (not node.restore or named(item.address, node.restore))
    ]
    for item in wanted:
        item.undoing = item.key in session.progress.undoing
    session.progress.changes = wanted

    def told(change: ChangeState, result: Undone) -> None:
        body = {
            "of": change.key,
            "address": change.address,
            "state": "failed" if result.problem else "undone",
            "message": result.problem,
            "conflict": result.conflict,
            "by_run": session.row.id,
        }
        session.also(lambda tx: _tell(tx, source, body))

    try:
        problems = undo_all(services, session, session.progress.changes, source, told)
    except _Held:
        return PROGRESSED
    _restored_outcome(session, address, [item.address for item in wanted], problems)
    return PROGRESSED


def _tell(tx: Tx, run_id: str, body: dict[str, Any]) -> None:
    tx.journal.append(run_id, [Entry("undo.outcome", body)])


def _restored_outcome(
    session: Session, address: str, restored: list[str], problems: list[str]
) -> None:
    output: Json = {"restored": restored}
    session.note(
        "step.outcome",
        address=address,
        state="failed" if problems else "succeeded",
        output=output,
        category=Category.DATA.value if problems else None,
        message="; ".join(problems),
    )
