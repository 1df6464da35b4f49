"""Gates: opened with the plan they show, closed by votes, time or drift; never by time-out to a yes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from engine.domain.clock import format_time
from engine.domain.ids import new_id
from engine.domain.people import Where
from engine.domain.run import RunMode, RunState
from engine.journal.rows import GateRow
from engine.journal.store import Tx
from engine.planning.document import PlanDocument
from engine.planning.drift import Difference, differences
from engine.planning.progress import GateState
from engine.running.braking import asks_a_person
from engine.running.planning import replan
from engine.running.services import Services
from engine.running.session import Session
from engine.running.standing import where_of

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
) -> str:
    """Open a gate that shows, and binds to, `document`; return its id."""
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
            "excluded": excluded(services, session),
            "where": whereabouts(services, session, document).as_json(),
            "rejected": session.progress.rejected,
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
        within=ask.within,
        on_timeout=ask.on_timeout,
    )
    session.move(RunState.AWAITING_APPROVAL, ask.reason)
    return gate


def excluded(services: Services, session: Session) -> list[str]:
    """People who may not decide: who asked for the run, and who wrote its playbook."""
    names = (session.row.requester, session.program.author)
    return sorted({services.person(name) for name in names if name})


def whereabouts(services: Services, session: Session, document: PlanDocument) -> Where:
    """Return the pack and the namespaces that a plan is about."""
    about = where_of(session.row)
    planned = [step.planned for step in document.steps if step.planned is not None]
    touched = {services.connections.namespace(one.target) for one in planned}
    names = {*about.namespaces, *(name for name in touched if name)}
    return Where(about.pack, tuple(sorted(names)))


def close_gate(
    session: Session, gate: GateState, state: str, reason: str, by: Collection[str] = ("stanch",)
) -> None:
    """Close a gate in the journal and in its row, so that its buttons go dead and say who closed it."""
    who = ", ".join(sorted(by))

    def write(tx: Tx) -> None:
        tx.gates.close(gate.gate, state, by=who, why=reason)

    session.note(
        "gate.closed",
        gate=gate.gate,
        state=state,
        reason=reason,
        by=who,
        fingerprint=gate.fingerprint,
    )
    session.also(write)


def close_all(session: Session, reason: str) -> None:
    """The run ends or is stopped: no button stays alive."""
    for gate in session.progress.gates.values():
        if gate.state == "open":
            close_gate(session, gate, "withdrawn", reason)


def let_go(session: Session, who: str) -> None:
    """A person has taken the run over: what was asked is void, and is asked again on hand-back."""
    for gate in session.progress.gates.values():
        if gate.state == "open":
            close_gate(session, gate, "void", f"{who} has taken the run over", (who,))


# ---------------------------------------------------------------- the engine's own gates


def wants_plan_gate(services: Services, session: Session, document: PlanDocument) -> str | None:
    """Say why there is a gate before the first change; None: there is none.

    `mode: approve` puts it there; `auto` skips it, unless a brake wants a person's word.
    """
    if not document.asks:
        return None
    if session.row.mode is RunMode.APPROVE:
        return "before the first change"
    return asks_a_person(services, session, document)


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
    ask = Ask(PLAN_GATE, rule.role, rule.approvals, rule.within, reason, on_timeout=rule.on_timeout)
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
    ask = Ask(
        BUDGET_GATE, rule.role, rule.approvals, rule.within, reason, on_timeout=rule.on_timeout
    )
    open_gate(services, session, ask, document)
