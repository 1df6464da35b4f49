"""The acting half of the API. Each act answers with the thing as it then is."""

from __future__ import annotations

from fastapi import APIRouter, Request

from engine.edges.web.auth import Reader, Writer
from engine.edges.web.models import (
    ApproveBody,
    DoneBody,
    ListAnswer,
    PlanBody,
    ReasonBody,
    RecoverBody,
    RejectBody,
    StartBody,
    SwitchBody,
    TokenBody,
    UndoBody,
)
from engine.edges.web.reads import ERRORS, Answer, Id, desk_of

router = APIRouter(prefix="/api/v1", responses=ERRORS)


@router.post("/plans", tags=["plans"], summary="Preview a plan")
def preview(request: Request, actor: Writer, body: PlanBody) -> Answer:
    """What a run would change, before and after. Reads really happen; nothing is written or stored."""
    return desk_of(request).preview(
        actor, body.playbook, body.inputs, alert=body.alert, save=body.save
    )


@router.post("/runs", tags=["runs"], status_code=201, summary="Start a run")
def start(request: Request, actor: Writer, body: StartBody) -> Answer:
    return desk_of(request).start(
        actor,
        body.playbook,
        body.inputs,
        mode=body.mode,
        priority=body.priority,
        alert=body.alert,
        plan=body.plan,
    )


@router.post("/runs/{ref}/cancel", tags=["runs"], summary="Cancel a run")
def cancel(request: Request, actor: Writer, ref: Id, body: ReasonBody) -> Answer:
    """Temporary changes are put back, then `finally` runs."""
    return desk_of(request).cancel(actor, ref, body.reason)


@router.post("/runs/{ref}/retry", tags=["runs"], summary="Retry a failed run from its failed step")
def retry(request: Request, actor: Writer, ref: Id, body: ReasonBody) -> Answer:
    return desk_of(request).retry(actor, ref, body.reason)


@router.post("/runs/{ref}/recover", tags=["runs"], summary="Run again just what failed of a batch")
def recover(request: Request, actor: Writer, ref: Id, body: RecoverBody) -> Answer:
    """A run of its own, with a gate, over the failed items of a foreach as they were. Answers with it."""
    return desk_of(request).recover(actor, ref, body.step)


@router.post("/runs/{ref}/undo", tags=["runs"], summary="Undo a run's changes")
def undo(request: Request, actor: Writer, ref: Id, body: UndoBody) -> Answer:
    """Newest first, from the before-images. What others changed since is named, not overwritten."""
    return desk_of(request).undo(actor, ref, body.steps, body.override)


@router.post("/runs/{ref}/undo/plan", tags=["runs"], summary="Preview the undo of a run")
def plan_undo(request: Request, actor: Writer, ref: Id, body: UndoBody) -> Answer:
    """What would be restored, and what others changed since. Nothing is started."""
    return desk_of(request).plan_undo(actor, ref, body.steps, body.override)


@router.post("/runs/{ref}/done", tags=["runs"], summary="Say that a manual task is done")
def done(request: Request, actor: Writer, ref: Id, body: DoneBody) -> Answer:
    return desk_of(request).done(actor, ref, body.address, body.note)


@router.post("/approvals/{gate}/approve", tags=["approvals"], summary="Approve the plan you saw")
def approve(request: Request, actor: Writer, gate: Id, body: ApproveBody) -> Answer:
    """Refused where the plan has changed since, and by anybody without the gate's role."""
    return desk_of(request).approve(actor, gate, body.fingerprint, body.comment)


@router.post("/approvals/{gate}/reject", tags=["approvals"], summary="Reject")
def reject(request: Request, actor: Writer, gate: Id, body: RejectBody) -> Answer:
    return desk_of(request).reject(actor, gate, body.comment)


@router.post("/approvals/{gate}/withdraw", tags=["approvals"], summary="Take back your own vote")
def withdraw(request: Request, actor: Writer, gate: Id) -> Answer:
    return desk_of(request).withdraw(actor, gate)


@router.post("/brakes/pause", tags=["brakes"], summary="Engage the kill switch")
def pause(request: Request, actor: Writer, body: SwitchBody) -> Answer:
    """Takes hold before the next effect, for parked runs too."""
    return desk_of(request).pause(actor, body.reason, body.let_undo)


@router.post("/brakes/resume", tags=["brakes"], summary="Release the kill switch")
def resume(request: Request, actor: Writer, body: ReasonBody) -> Answer:
    return desk_of(request).resume(actor, body.reason)


@router.get("/tokens", tags=["tokens"], response_model=ListAnswer, summary="List tokens")
def tokens(request: Request, actor: Reader) -> Answer:
    """Names, roles, times; never the tokens themselves, which are not stored."""
    return desk_of(request).tokens(actor)


@router.post("/tokens", tags=["tokens"], status_code=201, summary="Make a token")
def create_token(request: Request, actor: Writer, body: TokenBody) -> Answer:
    """The answer holds the token, this once."""
    return desk_of(request).create_token(actor, body.name, body.roles, body.expires_at)


@router.post("/tokens/{name}/revoke", tags=["tokens"], summary="Revoke all tokens of a name")
def revoke_token(request: Request, actor: Writer, name: str) -> Answer:
    return desk_of(request).revoke_token(actor, name)
