"""Journal entries in, progress out: one pure function an entry kind. Replaying a chain rebuilds a run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from engine.domain.canonical import JsonObject
from engine.domain.clock import parse_time
from engine.domain.errors import Category
from engine.domain.run import RunState
from engine.planning.progress import ChangeState, GateState, RunProgress, StepStatus

Fold = Callable[[RunProgress, JsonObject, datetime], None]


def fold(progress: RunProgress, kind: str, body: JsonObject, at: datetime, n: int) -> None:
    """Apply one entry. Kinds that only tell people something change nothing but `n`."""
    progress.n = n
    handler = _FOLDS.get(kind)
    if handler is not None:
        handler(progress, body, at)


def _created(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    progress.started_at = at
    progress.cooldown = float(body.get("cooldown") or 0.0)


def _state(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    progress.state = RunState(body["to"])


def _planned(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    progress.fingerprint = body["fingerprint"]
    progress.handed_back = None
    progress.waited = False


def _skipped(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    progress.set(body["address"], StepStatus.SKIPPED, message=body.get("reason", ""), started_at=at)


def _started(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    data = {key: value for key, value in body.items() if key != "address"}
    status = StepStatus.WAITING if body.get("waits") else StepStatus.RUNNING
    state = progress.set(body["address"], status, data=data)
    state.started_at = state.started_at or at


def _lock_waiting(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del body, at
    progress.waited = not any(state.key for state in progress.steps.values())


def _intent(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    progress.waited = False
    state = progress.set(
        body["address"],
        StepStatus.RUNNING,
        attempt=body["attempt"],
        key=body["key"],
        planned=body.get("planned"),
        in_doubt=True,
        retry_at=None,
    )
    state.data = {**state.data, **body.get("data", {})}
    state.started_at = state.started_at or at


def _record_change(progress: RunProgress, body: JsonObject) -> None:
    state = progress.steps[body["address"]]
    if state.planned is None or any(
        change.key == state.key and change.address == state.address and not change.undone
        for change in progress.changes
    ):
        return
    progress.changes.append(
        ChangeState(state.address, state.key, state.planned, body["receipt"], body.get("image"))
    )


def _applied(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    state = progress.set(
        body["address"],
        StepStatus.APPLIED,
        in_doubt=False,
        receipt=body["receipt"],
        image=body.get("image"),
        changed=True,
    )
    state.data = {**state.data, "applied_at": body.get("at") or at.isoformat()}
    _record_change(progress, body)


def _outcome(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    category = body.get("category")
    state = progress.set(
        body["address"],
        StepStatus(body["state"]),
        in_doubt=False,
        output=body.get("output"),
        changed=bool(body.get("changed")),
        category=Category(category) if category else None,
        message=body.get("message", ""),
        retry_at=None,
    )
    state.started_at = state.started_at or at
    if body.get("failure"):
        state.data = {**state.data, "failure": body["failure"]}
    if body.get("receipt") is not None and body.get("changed"):
        state.receipt = body["receipt"]
        state.image = body.get("image")
        _record_change(progress, body)


def _retry(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    state = progress.set(
        body["address"],
        StepStatus.RETRYING,
        in_doubt=False,
        retry_at=parse_time(body["at"]),
        attempt=body["attempt"],
        category=Category(body["category"]),
        message=body.get("reason", ""),
    )
    state.started_at = state.started_at or at


def _verify(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    progress.verified = bool(body.get("satisfied"))
    state = progress.steps.get(body["address"])
    if state is not None:
        state.data = {**state.data, "sampled_at": at.isoformat(), "sample": body.get("value")}
        if body.get("verify_from"):
            state.data = {**state.data, "verify_from": body["verify_from"]}


def _confirmed(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    state = progress.steps.get(body["address"])
    if state is not None and body["result"] == "Applied" and not state.in_doubt:
        state.data = {**state.data, "confirmed": True}


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


def _items_known(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    step = body["step"]
    progress.rejected[step] = {**progress.rejected.get(step, {}), **body["done"]}
    # After a retry: what failed here and was done by another run meanwhile is not tried again.
    for key in body["done"]:
        item = f"{step}[{key}]"
        for address in [one for one in progress.steps if one == item or one.startswith(f"{item}.")]:
            del progress.steps[address]


def _replanned(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del body, at
    progress.handed_back = None


def _gate_closed(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    gate = _gate_of(progress, body["gate"])
    if gate is None:
        return
    gate.state = body["state"]
    if gate.state == "approved":
        progress.approved = gate.fingerprint
        progress.fingerprint = gate.fingerprint


def _manual_done(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    state = progress.steps.get(body["address"])
    if state is not None and state.is_open:
        state.data = {**state.data, "done": {"by": body["by"], "note": body.get("note", "")}}
    if progress.stuck and state is not None:
        progress.stuck = None


def _undo_intent(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    progress.undoing.add(body["of"])
    for change in progress.changes:
        if change.key == body["of"] and not change.undone:
            change.undoing = True
            change.undo_attempt = body["attempt"]


def _undo_outcome(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    progress.undoing.discard(body["of"])
    for change in progress.changes:
        if change.key == body["of"] and not change.undone:
            change.undoing = False
            change.undone = body["state"] == "undone"
            change.undo_failed = "" if change.undone else body.get("message", "")
            change.conflict = bool(body.get("conflict"))
            step = progress.steps.get(change.address)
            if change.undone and step is not None and step.status is not StepStatus.FAILED:
                step.status = StepStatus.UNDONE
            break


def _undo_done(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    if body["scope"] == "temporary":
        progress.temporary_undone = True
    else:
        progress.undo_done = True


def _signal(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    match body["signal"]:
        case "cancel":
            progress.cancel = body.get("reason") or "cancelled"
            progress.hold = progress.stuck = progress.ended = None
            progress.taken_by = progress.stepping = progress.handed_back = progress.way = None
        case "hold" | "gave_way":
            progress.hold = body.get("reason") or "held"
            progress.hold_kind = body.get("brake") or "person"
            progress.stepping = progress.way = None
        case "release":
            progress.hold = progress.taken_by = progress.stepping = None
            if body.get("actor"):
                progress.seen_until = at
        case "takeover":
            progress.taken_by = body["actor"]
            progress.hold = f"taken over by {body['actor']}: {body.get('reason', '')}"
            progress.hold_kind = "person"
            progress.stepping = None
        case "handback":
            progress.hold = progress.taken_by = None
            progress.handed_back = body.get("reason") or "handed back"
            progress.seen_until = at
        case "step":
            progress.hold = None
            progress.stepping = body.get("actor") or "a person"
            progress.seen_until = at
        case "preempt":
            progress.way = {"for": body["for"], "how": body["how"], "reason": body["reason"]}
        case "stuck":
            progress.stuck = body["reason"]
        case "reask":
            progress.reask = body.get("reason") or "the plan has changed"
        case "resolved" if body.get("how") == "verify":
            for state in progress.steps.values():
                if state.is_open:
                    state.data = {k: v for k, v in state.data.items() if k != "sampled_at"}
        case "retry":
            _reset(progress)


def _reset(progress: RunProgress) -> None:
    """A person's retry: forget the failed steps and all that began after the first of them."""
    failed = [
        state
        for state in progress.steps.values()
        if state.status is StepStatus.FAILED or state.in_doubt
    ]
    progress.ended = progress.stuck = progress.hold = progress.stepping = None
    progress.undo_done = False
    if not failed:
        return
    leaves = [
        state
        for state in failed
        if not any(
            other.address.startswith((f"{state.address}.", f"{state.address}[")) for other in failed
        )
    ]
    since = min(state.first for state in leaves)
    ancestors = {state.address for state in failed if state not in leaves}
    for address, state in list(progress.steps.items()):
        if address in ancestors:
            state.status, state.in_doubt = StepStatus.RUNNING, False
        elif state.first >= since or state in leaves:
            if state.in_doubt or state.attempt:
                # Attempts go on counting, so that keys and the record of tries stay whole.
                state.status, state.in_doubt = StepStatus.RETRYING, False
                state.retry_at = None
                state.attempts_from = state.attempt
            else:
                del progress.steps[address]
    progress.cursor.clear()


def _ended(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    progress.ended = RunState(body["state"])


def expired(at: datetime | None, seconds: float | None, now: datetime) -> bool:
    """Whether `seconds` have passed since `at`."""
    return at is not None and seconds is not None and now >= at + timedelta(seconds=seconds)


_FOLDS: dict[str, Fold] = {
    "run.created": _created,
    "run.state": _state,
    "run.planned": _planned,
    "run.signal": _signal,
    "run.ended": _ended,
    "lock.waiting": _lock_waiting,
    "step.skipped": _skipped,
    "step.started": _started,
    "step.intent": _intent,
    "step.applied": _applied,
    "step.outcome": _outcome,
    "step.retry": _retry,
    "step.verify": _verify,
    "step.confirm": _confirmed,
    "gate.opened": _gate_opened,
    "gate.vote": _gate_vote,
    "gate.break_glass": _break_glass,
    "gate.items": _items_chosen,
    "gate.closed": _gate_closed,
    "run.replanned": _replanned,
    "items.done": _items_known,
    "manual.done": _manual_done,
    "undo.intent": _undo_intent,
    "undo.outcome": _undo_outcome,
    "undo.done": _undo_done,
}
