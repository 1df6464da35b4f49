"""Gates: opened with the plan they show, closed by votes, time or drift; never by time-out to a yes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from engine.domain.clock import format_time
from engine.domain.errors import Category
from engine.domain.ids import new_id
from engine.domain.run import RunMode, RunState
from engine.journal.rows import GateRow
from engine.journal.store import Tx
from engine.language.program import GateNode
from engine.planning.document import PlanDocument
from engine.planning.drift import Difference, differences
from engine.planning.inputs import seconds
from engine.planning.moves import Place
from engine.planning.progress import GateState, StepState
from engine.planning.scope import scope_of
from engine.running.outcome import PROGRESSED, Carried, Parked
from engine.running.planning import replan
from engine.running.services import Services
from engine.running.session import Session

PLAN_GATE = "plan"
BUDGET_GATE = "budget"


@dataclass(frozen=True)
class Ask:
    """What a gate wants. `step`: a gate step of the playbook, not the engine's own gate."""

    address: str
    role: str
    approvals: int
    within: float
    reason: str
    step: bool = False
    on_timeout: str = "abort"


def open_gate(
    services: Services,
    session: Session,
    ask: Ask,
    document: PlanDocument,
    changed: Sequence[Difference] = (),
) -> None:
    """Open a gate that shows, and binds to, `document`."""
    now = services.clock.now()
    row = session.row
    gate = new_id("gate")
    expires = now + timedelta(seconds=ask.within)
    fingerprint = document.fingerprint
    drift = [difference.as_json() for difference in changed]
    plan = document.as_json()
    gate_row = GateRow(
        id=gate,
        run_id=row.id,
        address=ask.address,
        role=ask.role,
        approvals=ask.approvals,
        fingerprint=fingerprint,
        state="open",
        opened_at=now,
        expires_at=expires,
        body={
            "summary": session.program.summary,
            "playbook": session.program.playbook,
            "revision": session.program.revision,
            "author": session.program.author,
            "reason": ask.reason,
            "on_timeout": ask.on_timeout,
            "excluded": excluded(session),
            "drift": drift,
            "budget": document.budget(),
        },
    )

    def write(tx: Tx) -> None:
        tx.blobs.put_plan(row.id, fingerprint, plan)
        tx.gates.open(gate_row)

    session.also(write)
    session.note(
        "gate.opened",
        gate=gate,
        address=ask.address,
        role=ask.role,
        approvals=ask.approvals,
        fingerprint=fingerprint,
        expires_at=format_time(expires),
        plan=fingerprint,
        reason=ask.reason,
        step=ask.step,
        drift=drift,
    )
    session.move(RunState.AWAITING_APPROVAL, ask.reason)


def excluded(session: Session) -> list[str]:
    """Names that may not decide: who asked for the run, and who wrote its playbook."""
    return sorted({name for name in (session.row.requester, session.program.author) if name})


def close_gate(session: Session, gate: GateState, state: str, reason: str) -> None:
    """Close a gate in the journal and in its row, so that its buttons go dead."""

    def write(tx: Tx) -> None:
        tx.gates.close(gate.gate, state)

    session.note(
        "gate.closed", gate=gate.gate, state=state, reason=reason, fingerprint=gate.fingerprint
    )
    session.also(write)


def close_all(session: Session, reason: str) -> None:
    """The run ends or is stopped: no button stays alive."""
    for gate in session.progress.gates.values():
        if gate.state == "open":
            close_gate(session, gate, "withdrawn", reason)


def judge(services: Services, session: Session, gate: GateState) -> str | None:
    """Say what an open gate has come to, and close it accordingly.

    Returns:
        `rejected`, `expired`, `approved`, `void` (a new gate is open), or None (still open). Approved
        only where the plan, made anew, is still the one that people saw.
    """
    who = gate.rejected_by
    if who is not None:
        close_gate(session, gate, "rejected", f"rejected by {who}")
        return "rejected"
    if gate.quorum:
        return _at_quorum(services, session, gate)
    if gate.expires_at is not None and services.clock.now() >= gate.expires_at:
        close_gate(session, gate, "expired", "nobody decided in time")
        return "expired"
    return None


def _at_quorum(services: Services, session: Session, gate: GateState) -> str:
    session.flush()
    voters = sorted(who for who, decision in gate.votes.items() if decision == "approve")
    if gate.address == BUDGET_GATE:
        close_gate(session, gate, "approved", f"approved by {', '.join(voters)}")
        return "approved"
    fresh = replan(services, session, skip=gate.address)
    if fresh.fingerprint == gate.fingerprint:
        close_gate(session, gate, "approved", f"approved by {', '.join(voters)}")
        session.document = fresh
        return "approved"
    shown = services.store.read(lambda tx: tx.blobs.plan(session.row.id, gate.fingerprint))
    found = differences(PlanDocument.from_json(shown), fresh)
    for difference in found:
        session.note("drift.found", **difference.as_json())
    text = "; ".join(map(str, found[:3]))
    close_gate(session, gate, "void", f"the world drifted: {text}")
    ask = Ask(
        gate.address,
        gate.role,
        gate.approvals,
        services.approval.within,
        f"the plan changed after it was approved: {text}",
        gate.address in session.progress.steps,
    )
    open_gate(services, session, ask, fresh, found)
    return "void"


# ---------------------------------------------------------------- the engine's own gates


def wants_plan_gate(session: Session, document: PlanDocument) -> bool:
    """`mode: approve` puts a gate before the first change; `auto` skips that gate only."""
    return session.row.mode is RunMode.APPROVE and document.asks


def ask_for_plan(
    services: Services,
    session: Session,
    document: PlanDocument,
    reason: str,
    changed: Sequence[Difference] = (),
) -> None:
    """Open the gate before the first change, or ask again."""
    rule = services.approval
    old = session.progress.gates.get(PLAN_GATE)
    if old is not None and old.state == "open":
        close_gate(session, old, "void", reason)
    ask = Ask(PLAN_GATE, rule.role, rule.approvals, rule.within, reason)
    open_gate(services, session, ask, document, changed)


def reask(services: Services, session: Session) -> None:
    """The world drifted under way: hold the run and show what remains, with the difference."""
    reason = session.progress.reask or "the plan has changed"
    session.flush()
    fresh = replan(services, session)
    changed = differences(session.document, fresh) if session.document is not None else []
    known = {step.address for step in fresh.steps}
    ask_for_plan(
        services,
        session,
        fresh,
        f"the world is not as planned: {reason}",
        [item for item in changed if item.address in known],
    )


def ask_for_budget(services: Services, session: Session, reason: str) -> None:
    """What would exceed a budget is asked about."""
    session.flush()
    document = session.document or replan(services, session)
    rule = services.approval
    ask = Ask(BUDGET_GATE, rule.role, rule.approvals, rule.within, reason)
    open_gate(services, session, ask, document)


# ---------------------------------------------------------------- gate steps


def carry_gate(
    services: Services,
    session: Session,
    address: str,
    node: GateNode,
    place: Place,
    state: StepState | None,
) -> Carried:
    """Take a gate step one move on."""
    gate = session.progress.gates.get(address)
    if state is None or gate is None:
        within = seconds(node.within, scope_of(place, session.progress, session.facts))
        session.note("step.started", address=address, waits=True)
        session.flush()
        document = replan(services, session, skip=address)
        ask = Ask(address, node.role, node.approvals, within, node.title, True, node.on_timeout)
        open_gate(services, session, ask, document)
        return PROGRESSED
    if gate.state == "open":
        verdict = judge(services, session, gate)
        if verdict is None:
            return Parked(gate.expires_at, "approval")
        if verdict == "void":
            return PROGRESSED
    _gate_outcome(session, address, node, session.progress.gates[address])
    return PROGRESSED


def _gate_outcome(session: Session, address: str, node: GateNode, gate: GateState) -> None:
    comment = "; ".join(item["comment"] for item in gate.comments if item["comment"])
    if gate.state == "expired" and node.on_timeout == "escalate":
        session.note(
            "run.signal",
            signal="stuck",
            reason=f"{address}: nobody decided in time; escalated, a person must decide",
            address=address,
        )
        return
    passed = gate.state == "approved" or (gate.state == "rejected" and node.on_reject == "continue")
    session.note(
        "step.outcome",
        address=address,
        state="succeeded" if passed else "failed",
        output={"decision": gate.state, "by": sorted(gate.votes), "comment": comment},
        category=None if passed else Category.PERMANENT.value,
        message="" if passed else f"{gate.state}{f': {comment}' if comment else ''}",
    )
