"""The API of a run in a person's hands, of lent roles, and of brakes that are re-armed."""

from __future__ import annotations

from fastapi import APIRouter, Request

from engine.edges.web.auth import Reader, Writer
from engine.edges.web.models import (
    BrakesAnswer,
    ChooseBody,
    DelegateBody,
    GlassBody,
    ListAnswer,
    NoteBody,
    PreemptBody,
    RearmBody,
    ReasonBody,
    WhyBody,
)
from engine.edges.web.reads import ERRORS, Answer, Id, desk_of

router = APIRouter(prefix="/api/v1", responses=ERRORS)


@router.post("/runs/{ref}/hold", tags=["runs"], summary="Hold a run before its next effect")
def hold(request: Request, actor: Writer, ref: Id, body: WhyBody) -> Answer:
    return desk_of(request).hold(actor, ref, body.reason)


@router.post("/runs/{ref}/release", tags=["runs"], summary="Let a held run go on")
def release(request: Request, actor: Writer, ref: Id, body: ReasonBody) -> Answer:
    return desk_of(request).release(actor, ref, body.reason)


@router.post("/runs/{ref}/step", tags=["runs"], summary="Do exactly one step, then hold")
def step(request: Request, actor: Writer, ref: Id) -> Answer:
    return desk_of(request).step(actor, ref)


@router.post("/runs/{ref}/takeover", tags=["runs"], summary="Take a run over")
def takeover(request: Request, actor: Writer, ref: Id, body: WhyBody) -> Answer:
    """The engine does nothing more in it; its locks stay, its gates close."""
    return desk_of(request).takeover(actor, ref, body.reason)


@router.post("/runs/{ref}/handback", tags=["runs"], summary="Hand a run back")
def handback(request: Request, actor: Writer, ref: Id, body: NoteBody) -> Answer:
    """The plan is made anew; what differs is shown and asked about."""
    return desk_of(request).handback(actor, ref, body.note)


@router.post("/runs/{ref}/preempt", tags=["runs"], summary="Make lock holders give way")
def preempt(request: Request, actor: Writer, ref: Id, body: PreemptBody) -> Answer:
    """Name the run that waits for a lock, or the one that holds it."""
    return desk_of(request).preempt(actor, ref, body.reason, body.how)


@router.post("/approvals/{gate}/choose", tags=["approvals"], summary="Approve some items only")
def choose(request: Request, actor: Writer, gate: Id, body: ChooseBody) -> Answer:
    """The gate is asked again with the plan of what is left; your yes counts for it."""
    return desk_of(request).choose(
        actor,
        gate,
        body.fingerprint,
        only=body.only,
        without=body.without,
        reason=body.reason,
    )


@router.post("/approvals/{gate}/break-glass", tags=["approvals"], summary="Approve alone")
def break_glass(request: Request, actor: Writer, gate: Id, body: GlassBody) -> Answer:
    """In an emergency, by the configured role, without quorum and four eyes. Told loudly."""
    return desk_of(request).break_glass(actor, gate, body.fingerprint, body.reason)


@router.get("/delegations", tags=["approvals"], response_model=ListAnswer, summary="Lent roles")
def delegations(request: Request, actor: Reader) -> Answer:
    return desk_of(request).delegations(actor)


@router.post("/delegations", tags=["approvals"], status_code=201, summary="Lend a role")
def delegate(request: Request, actor: Writer, body: DelegateBody) -> Answer:
    return desk_of(request).delegate(actor, body.role, body.to, body.seconds, body.reason)


@router.post("/delegations/{delegation}/revoke", tags=["approvals"], summary="Take a role back")
def revoke(request: Request, actor: Writer, delegation: str) -> Answer:
    return desk_of(request).revoke(actor, delegation)


@router.post(
    "/brakes/rearm", tags=["brakes"], response_model=BrakesAnswer, summary="Re-arm or reset"
)
def rearm(request: Request, actor: Writer, body: RearmBody) -> Answer:
    return desk_of(request).rearm(actor, body.name, body.reason)
