"""Entries about a gate: opened, voted on, its items chosen, closed."""

from __future__ import annotations

from datetime import datetime

from engine.domain.canonical import JsonObject
from engine.domain.clock import parse_time
from engine.planning.progress import Fold, GateState, RunProgress, StepStatus


def _gate_opened(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    expires = body.get("expires_at")
    progress.gates[body["address"]] = GateState(
        gate=body["gate"],
        address=body["address"],
        fingerprint=body["fingerprint"],
        approvals=body["approvals"],
        role=body["role"],
        expires_at=parse_time(expires) if expires else None,
        within=float(body.get("within") or 3600.0),
        on_timeout=body.get("on_timeout") or "abort",
        reason=body.get("reason") or "",
    )
    progress.reask = progress.handed_back = None
    if body.get("step"):
        state = progress.set(body["address"], StepStatus.WAITING)
        state.started_at = state.started_at or at


def _gate_of(progress: RunProgress, gate: str) -> GateState | None:
    return next((item for item in progress.gates.values() if item.gate == gate), None)


def _gate_vote(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    gate = _gate_of(progress, body["gate"])
    if gate is None or gate.state != "open":
        return
    if body["decision"] == "withdraw":
        gate.votes.pop(body["actor"], None)
        return
    gate.votes[body["actor"]] = body["decision"]
    gate.comments.append(
        {"by": body["actor"], "decision": body["decision"], "comment": body.get("comment", "")}
    )


def _break_glass(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    gate = _gate_of(progress, body["gate"])
    if gate is None or gate.state != "open":
        return
    gate.broken_by = body["actor"]
    gate.comments.append(
        {"by": body["actor"], "decision": "break_glass", "comment": body.get("reason", "")}
    )


def _items_chosen(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    gate = _gate_of(progress, body["gate"])
    if gate is None or gate.state != "open":
        return
    gate.choice = body
    for step, keys in body["rejected"].items():
        progress.rejected[step] = {**progress.rejected.get(step, {}), **keys}


def _gate_closed(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    gate = _gate_of(progress, body["gate"])
    if gate is None:
        return
    gate.state = body["state"]
    if gate.state == "approved":
        progress.approved = gate.fingerprint
        progress.fingerprint = gate.fingerprint


FOLDS: dict[str, Fold] = {
    "gate.opened": _gate_opened,
    "gate.vote": _gate_vote,
    "gate.break_glass": _break_glass,
    "gate.items": _items_chosen,
    "gate.closed": _gate_closed,
}
