"""What an open gate has come to: votes, a choice of items, time; approved only while the plan still stands."""

from __future__ import annotations

from dataclasses import replace

from engine.domain.canonical import JsonObject
from engine.journal.rows import VoteRow
from engine.planning.document import PlanDocument
from engine.planning.drift import differences, told
from engine.planning.progress import GateState
from engine.running.gates import BUDGET_GATE, Ask, close_gate, open_gate
from engine.running.planning import replan
from engine.running.services import Services
from engine.running.session import Session


def judge(services: Services, session: Session, gate: GateState) -> str | None:
    """Say what an open gate has come to, and close it accordingly.

    Returns:
        `rejected`, `expired`, `approved`, `void` (a new gate is open), or None (still open). Approved
        only where the plan, made anew, is still the one that people saw.
    """
    who = gate.rejected_by
    if who is not None:
        close_gate(session, gate, "rejected", f"rejected by {who}", (who,))
        return "rejected"
    if gate.choice is not None:
        _ask_for_the_rest(services, session, gate, gate.choice)
        return "void"
    if gate.quorum:
        return _at_quorum(services, session, gate)
    if gate.expires_at is not None and services.clock.now() >= gate.expires_at:
        return _at_timeout(services, session, gate)
    return None


def _at_timeout(services: Services, session: Session, gate: GateState) -> str:
    """Time never approves: the next role is asked, or the gate expires."""
    role = services.approval.next_role(gate.role) if gate.on_timeout == "escalate" else None
    if role is None:
        close_gate(session, gate, "expired", "nobody decided in time")
        return "expired"
    close_gate(session, gate, "escalated", f"nobody decided in time; {role} is asked now")
    session.note("gate.escalated", gate=gate.gate, address=gate.address, role=gate.role, to=role)
    session.flush()
    fresh = _plan_at(services, session, gate)
    shown = _shown_at(services, session, gate)
    ask = replace(_ask_of(session, gate), role=role)
    reason = f"{gate.reason} (escalated: {gate.role} did not decide in time)"
    open_gate(services, session, replace(ask, reason=reason), fresh, differences(shown, fresh))
    return "void"


def _ask_of(session: Session, gate: GateState) -> Ask:
    """What the gate wanted, to want it again."""
    return Ask(
        gate.address,
        gate.role,
        gate.approvals,
        gate.within,
        gate.reason,
        gate.address in session.progress.steps,
        gate.on_timeout,
    )


def _plan_at(services: Services, session: Session, gate: GateState) -> PlanDocument:
    return replan(services, session, skip=gate.address)


def _shown_at(services: Services, session: Session, gate: GateState) -> PlanDocument:
    shown = services.store.read(lambda tx: tx.blobs.plan(session.row.id, gate.fingerprint))
    return PlanDocument.from_json(shown)


def _at_quorum(services: Services, session: Session, gate: GateState) -> str:
    session.flush()
    voters = sorted(who for who, decision in gate.votes.items() if decision == "approve")
    why = f"approved by {', '.join(voters)}"
    if gate.broken_by is not None:
        voters = [gate.broken_by]
        said = next((c["comment"] for c in gate.comments if c["decision"] == "break_glass"), "")
        why = f"BREAK-GLASS by {gate.broken_by}: {said}"
    if gate.address == BUDGET_GATE:
        close_gate(session, gate, "approved", why, voters)
        return "approved"
    fresh = _plan_at(services, session, gate)
    if fresh.fingerprint == gate.fingerprint:
        close_gate(session, gate, "approved", why, voters)
        session.document = fresh
        return "approved"
    found = differences(_shown_at(services, session, gate), fresh)
    for difference in found:
        session.note("drift.found", **difference.as_json())
    text = told(found, services.connections.personal)
    close_gate(session, gate, "void", f"the world drifted: {text}")
    reason = f"the plan changed after it was approved: {text}"
    ask = replace(_ask_of(session, gate), reason=reason, within=services.approval.within)
    open_gate(services, session, ask, fresh, found)
    return "void"


def _ask_for_the_rest(
    services: Services, session: Session, gate: GateState, choice: JsonObject
) -> None:
    """Some items were rejected: the gate is asked again with the plan of the others.

    The chooser's yes counts for it where nothing but their choice has changed.
    """
    session.flush()
    who = str(choice["actor"])
    steps = ", ".join(sorted(choice["rejected"]))
    fresh = _plan_at(services, session, gate)
    gone = tuple(f"{step}[{key}]" for step, keys in choice["rejected"].items() for key in keys)
    found = [
        item
        for item in differences(_shown_at(services, session, gate), fresh)
        if not any(item.address == one or item.address.startswith(f"{one}.") for one in gone)
    ]
    close_gate(session, gate, "void", f"{who} chose among the items of {steps}", (who,))
    ask = _ask_of(session, gate)
    opened = open_gate(services, session, ask, fresh, found)
    if found or fresh.fingerprint == gate.fingerprint:
        return
    via, comment = str(choice["via"]), str(choice.get("reason") or "")
    now = services.clock.now()
    vote = VoteRow(opened, who, via, "approve", comment, now)
    session.also(lambda tx: tx.gates.vote(vote))
    session.note(
        "gate.vote",
        gate=opened,
        address=gate.address,
        actor=who,
        via=via,
        decision="approve",
        comment=comment,
        fingerprint=fresh.fingerprint,
    )
