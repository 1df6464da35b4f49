"""Entries about one step: begun, intended, applied, its outcome, tried again, judged, done by a person."""

from __future__ import annotations

from datetime import datetime

from engine.domain.canonical import JsonObject
from engine.domain.clock import parse_time
from engine.domain.errors import Category
from engine.planning.progress import ChangeState, Fold, RunProgress, StepStatus


def _skipped(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    progress.set(body["address"], StepStatus.SKIPPED, message=body.get("reason", ""), started_at=at)


def _started(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    data = {key: value for key, value in body.items() if key != "address"}
    status = StepStatus.WAITING if body.get("waits") else StepStatus.RUNNING
    state = progress.set(body["address"], status, data=data)
    state.started_at = state.started_at or at


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


def _items_known(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    step = body["step"]
    progress.rejected[step] = {**progress.rejected.get(step, {}), **body["done"]}
    # After a retry: what failed here and was done by another run meanwhile is not tried again.
    for key in body["done"]:
        item = f"{step}[{key}]"
        for address in [one for one in progress.steps if one == item or one.startswith(f"{item}.")]:
            del progress.steps[address]


def _manual_done(progress: RunProgress, body: JsonObject, at: datetime) -> None:
    del at
    state = progress.steps.get(body["address"])
    if state is not None and state.is_open:
        state.data = {**state.data, "done": {"by": body["by"], "note": body.get("note", "")}}
    if progress.stuck and state is not None:
        progress.stuck = None


FOLDS: dict[str, Fold] = {
    "step.skipped": _skipped,
    "step.started": _started,
    "step.intent": _intent,
    "step.applied": _applied,
    "step.outcome": _outcome,
    "step.retry": _retry,
    "step.verify": _verify,
    "step.confirm": _confirmed,
    "items.done": _items_known,
    "manual.done": _manual_done,
}
