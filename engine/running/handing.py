"""A run in a person's hands: held, taken over and handed back, stepped, made to give way. The engine's side."""

from __future__ import annotations

from engine.domain.run import RunMode, RunState
from engine.journal.store import Tx
from engine.planning.drift import differences
from engine.planning.moves import Continue, Finish, Place
from engine.running.braking import by_itself, holding_window
from engine.running.budgeting import KILL_SWITCH
from engine.running.gates import PLAN_GATE, ask_for_budget, ask_for_plan
from engine.running.planning import replan
from engine.running.services import Services
from engine.running.session import Session


def over_by_now(services: Services, session: Session) -> bool:
    """Whether what held the run is over, so that it goes on; it is released then, with the reason."""
    match session.progress.hold_kind:
        case "brake":
            kill = services.store.read(lambda tx: tx.brakes.get(KILL_SWITCH))
            if kill is not None and kill.engaged:
                return False
            reason = "the pause is over"
        case "window":
            if holding_window(services, session, None) is not None:
                return False
            reason = "the maintenance window is over"
        case "budget":
            why = session.progress.hold or ""
            session.note("run.signal", signal="release", reason="asked about at a gate")
            ask_for_budget(services, session, why)
            return True
        case _:
            return False
    session.note("run.signal", signal="release", reason=reason)
    session.move(RunState.RUNNING, reason)
    return True


def handed_back(services: Services, session: Session) -> None:
    """Plan anew after a person acted in the run's place. What they changed is shown, and asked about."""
    note = session.progress.handed_back or ""
    session.flush()
    fresh = replan(services, session)
    known = {step.address for step in fresh.steps}
    found = differences(session.document, fresh) if session.document is not None else []
    found = [item for item in found if item.address in known]
    for difference in found:
        session.note("drift.found", **difference.as_json())
    gate = session.progress.gates.get(PLAN_GATE)
    asked = gate is not None and gate.state != "approved"
    if by_itself(session) and not asked:
        fingerprint, plan = fresh.fingerprint, fresh.as_json()
        session.also(lambda tx: tx.blobs.put_plan(session.row.id, fingerprint, plan))
        reads = sum(step.state == "read" for step in fresh.steps)
        session.note(
            "run.planned", fingerprint=fingerprint, changes=len(fresh.changes), reads=reads
        )
        session.document = fresh
    elif found or (asked and session.row.mode is not RunMode.DRY_RUN):
        what = f"{len(found)} differences" if found else "nothing differs"
        ask_for_plan(services, session, fresh, f"handed back: {note} ({what})", found)
        return
    else:
        session.note("run.replanned", reason=f"handed back: {note}; nothing differs")
    if session.progress.state is RunState.HELD:
        session.move(RunState.RUNNING, f"handed back: {note}")


def in_doubt(session: Session) -> list[Continue]:
    """Return the moves that ask what became of effects that may have happened."""
    from engine.planning.addresses import find_node

    place = Place(prefix="", scopes=("",), inputs=session.row.inputs, vars={})
    return [
        Continue(state.address, find_node(session.program, state.address), place, state)
        for state in session.progress.steps.values()
        if state.in_doubt
    ]


def give_way(session: Session) -> Finish | None:
    """Let go of the locks for an urgent run. Returns how the run ends where it was undone for that."""
    way = session.progress.way or {}
    run_id = session.row.id
    undone = way.get("how") == "undo" and session.progress.undo_done

    def let_go(tx: Tx) -> None:
        tx.locks.release(run_id)

    session.also(let_go)
    reason = f"gave way to {way.get('for')}: {way.get('reason')}"
    session.note("run.signal", signal="gave_way", reason=reason)
    if not undone:
        return None
    failed = [change for change in session.progress.changes if change.undo_failed]
    if failed:
        text = f"{reason}; undo of {failed[0].address}: {failed[0].undo_failed}"
        return Finish(RunState.NEEDS_HUMAN, text)
    return Finish(RunState.UNDONE, reason)


def stepped(session: Session, address: str) -> bool:
    """Whether the one step that a person asked for has come to its end; the run is held again then."""
    state = session.progress.steps.get(address)
    if session.progress.stepping is None or state is None or state.is_open or state.in_doubt:
        return False
    who = session.progress.stepping
    session.note(
        "run.signal",
        signal="hold",
        reason=f"stepped by {who}: {address} {state.status.value}; stanch step {session.row.id} "
        f"does the next, stanch release {session.row.id} all",
    )
    return True
