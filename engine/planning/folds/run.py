"""Entries about the whole run: its state, its plan, what people and brakes say, its undo, its end."""

from __future__ import annotations

from datetime import datetime

from engine.domain.canonical import JsonObject
from engine.domain.run import RunState
from engine.planning.progress import Fold, RunProgress, StepStatus


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


def _replanned(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del body, at
    progress.handed_back = None


def _lock_waiting(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del body, at
    progress.waited = not any(state.key for state in progress.steps.values())


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


def _ended(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    progress.ended = RunState(body["state"])


FOLDS: dict[str, Fold] = {
    "run.created": _created,
    "run.state": _state,
    "run.planned": _planned,
    "run.replanned": _replanned,
    "run.signal": _signal,
    "run.ended": _ended,
    "lock.waiting": _lock_waiting,
    "undo.intent": _undo_intent,
    "undo.outcome": _undo_outcome,
    "undo.done": _undo_done,
}
