"""Gate steps of a playbook: opened when the run comes to them, with the plan of what lies behind."""

from __future__ import annotations

from engine.domain.errors import Category
from engine.language.program import GateNode
from engine.planning.inputs import seconds
from engine.planning.moves import Place
from engine.planning.progress import GateState, StepState
from engine.planning.scope import scope_of
from engine.running.gates import Ask, open_gate
from engine.running.judging import judge
from engine.running.outcome import PROGRESSED, Carried, Parked
from engine.running.planning import replan
from engine.running.services import Services
from engine.running.session import Session


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
    if state is None or gate is None or gate.state == "void":
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
    who = {*gate.votes, *([gate.broken_by] if gate.broken_by else [])}
    passed = gate.state == "approved" or (gate.state == "rejected" and node.on_reject == "continue")
    session.note(
        "step.outcome",
        address=address,
        state="succeeded" if passed else "failed",
        output={"decision": gate.state, "by": sorted(who), "comment": comment},
        category=None if passed else Category.PERMANENT.value,
        message="" if passed else f"{gate.state}{f': {comment}' if comment else ''}",
    )
