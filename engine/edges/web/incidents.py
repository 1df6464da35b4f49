"""Incidents and calls over the API: what people may do with them, and the files that belong to them."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from engine.edges.web.auth import Reader, Writer
from engine.edges.web.models import Body, ListAnswer
from engine.edges.web.reads import ERRORS, Answer, Id, desk_of
from engine.incidents.postmortem.book import Request as PostmortemRequest

router = APIRouter(prefix="/api/v1", responses=ERRORS)

Reason = Annotated[str, Field(description="For the record; others read it", max_length=2000)]


class AckBody(Body):
    """What is said with an acknowledgement."""

    note: Reason = ""


class WhyBody(Body):
    """Why."""

    reason: Reason = ""


class SeverityBody(Body):
    """How bad it is."""

    severity: str = Field(description="P0, P1 or P2", examples=["P0"])
    reason: Reason


class TitleBody(Body):
    """What it is called."""

    title: str = Field(description="One line", max_length=300)
    reason: Reason = ""


class RoleBody(Body):
    """Who has a role."""

    role: str = Field(description="commander, communications, scribe or operations")
    person: str = Field(description="Whose it is now", examples=["alice"])
    note: Reason = ""


class NoteBody(Body):
    """A note."""

    note: str = Field(description="Text", examples=["pool is full since 03:10"])


class ArtifactBody(Body):
    """A file: its content, or the reference to where it lies."""

    name: str = Field(description="Its name", examples=["errors.csv"])
    content_type: str = Field("text/plain", description="Its type")
    content: str | None = Field(None, description="Its bytes in base64")
    reference: dict[str, Any] | None = Field(
        None, description="`{connection, name, sha256, bytes}`, as actions return it"
    )


class MergeBody(Body):
    """Into which incident."""

    into: str = Field(description="The incident that stays")
    reason: Reason


class EscalateBody(Body):
    """Whom to call."""

    level: Literal["warning", "critical", "emergency"] = Field("critical", description="How loudly")
    reason: Reason
    chain: str | None = Field(None, description="A chain; left out: the level's")


@router.post("/acknowledge/{ref}", tags=["incidents"], summary="Say that somebody looks")
def acknowledge(request: Request, actor: Writer, ref: Id, body: AckBody) -> Answer:
    """An incident, a page, or a run that people are called about. Nobody else is called then."""
    return desk_of(request).acknowledge(actor, ref, body.note)


@router.post("/incidents/{ref}/acknowledge", tags=["incidents"], summary="Acknowledge an incident")
def acknowledge_incident(request: Request, actor: Writer, ref: Id, body: AckBody) -> Answer:
    return desk_of(request).acknowledge(actor, ref, body.note)


@router.post("/incidents/{ref}/resolve", tags=["incidents"], summary="Say that it is over")
def resolve(request: Request, actor: Writer, ref: Id, body: WhyBody) -> Answer:
    return desk_of(request).resolve(actor, ref, body.reason)


@router.post("/incidents/{ref}/close", tags=["incidents"], summary="Close an incident")
def close(request: Request, actor: Writer, ref: Id, body: WhyBody) -> Answer:
    """Its episodes close too: alerts that come later start afresh."""
    return desk_of(request).close(actor, ref, body.reason)


@router.post("/incidents/{ref}/reopen", tags=["incidents"], summary="Reopen an incident")
def reopen(request: Request, actor: Writer, ref: Id, body: WhyBody) -> Answer:
    return desk_of(request).reopen(actor, ref, body.reason)


@router.post("/incidents/{ref}/severity", tags=["incidents"], summary="Change its severity")
def severity(request: Request, actor: Writer, ref: Id, body: SeverityBody) -> Answer:
    return desk_of(request).severity(actor, ref, body.severity, body.reason)


@router.post("/incidents/{ref}/title", tags=["incidents"], summary="Change its title")
def title(request: Request, actor: Writer, ref: Id, body: TitleBody) -> Answer:
    return desk_of(request).title(actor, ref, body.title, body.reason)


@router.post("/incidents/{ref}/role", tags=["incidents"], summary="Give or hand over a role")
def role(request: Request, actor: Writer, ref: Id, body: RoleBody) -> Answer:
    return desk_of(request).role(actor, ref, body.role, body.person, body.note)


@router.post("/incidents/{ref}/note", tags=["incidents"], summary="Write a note")
def note(request: Request, actor: Writer, ref: Id, body: NoteBody) -> Answer:
    return desk_of(request).note(actor, ref, body.note)


@router.post("/incidents/{ref}/artifact", tags=["incidents"], summary="Attach a file")
def artifact(request: Request, actor: Writer, ref: Id, body: ArtifactBody) -> Answer:
    return desk_of(request).artifact(
        actor, ref, body.name, body.content_type, body.content, body.reference
    )


@router.get("/incidents/{ref}/artifacts/{name}", tags=["incidents"], summary="One artifact")
def artifact_content(request: Request, actor: Reader, ref: Id, name: str) -> Response:
    """Its bytes, as a download; its description where they lie elsewhere."""
    del actor
    item, content = desk_of(request).artifact_content(ref, name)
    if content is None:
        return JSONResponse(item)
    # Always a download: what was attached is never shown as a page of ours.
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(item['name'])}"}
    return Response(content, media_type=item["content_type"], headers=headers)


@router.post("/incidents/{ref}/merge", tags=["incidents"], summary="Merge into another incident")
def merge(request: Request, actor: Writer, ref: Id, body: MergeBody) -> Answer:
    """Answers with the one that stays."""
    return desk_of(request).merge(actor, ref, body.into, body.reason)


@router.post("/incidents/{ref}/escalate", tags=["incidents"], summary="Call people now")
def escalate(request: Request, actor: Writer, ref: Id, body: EscalateBody) -> Answer:
    return desk_of(request).escalate(actor, ref, body.level, body.reason, body.chain)


class PostmortemBody(Body):
    """The document as people left it, and whether it is done."""

    given: str | None = Field(None, description="The Markdown with people's blocks")
    format: Literal["md", "html"] = Field("md", description="What is answered")
    template: str = Field("postmortem", description="postmortem, batch-report, or your own")
    publish: bool = Field(False, description="It is done: reminders end")
    draw: bool = Field(True, description="Whether charts are wanted")


@router.get("/incidents/{ref}/postmortem", tags=["incidents"], summary="The postmortem")
def postmortem(
    request: Request,
    actor: Reader,
    ref: Id,
    format_: Annotated[Literal["md", "html"], Query(alias="format")] = "md",
    template: Annotated[str, Query(description="postmortem, batch-report, or your own")] = (
        "postmortem"
    ),
) -> Answer:
    """`{text, charts, conflicts, version, state, due_at, decision}`: made anew from the journal."""
    wanted = PostmortemRequest(format=format_, template=template)
    return desk_of(request).postmortem(actor, ref, wanted)


@router.post("/incidents/{ref}/postmortem", tags=["incidents"], summary="Save what people wrote")
def save_postmortem(request: Request, actor: Writer, ref: Id, body: PostmortemBody) -> Answer:
    """Takes in what people changed in their blocks; what conflicts is named and not stored."""
    wanted = PostmortemRequest(
        format=body.format,
        template=body.template,
        given=body.given,
        publish=body.publish,
        draw=body.draw,
    )
    return desk_of(request).postmortem(actor, ref, wanted)


@router.get("/pages", tags=["calls"], response_model=ListAnswer, summary="List calls")
def pages(
    request: Request,
    actor: Reader,
    over: Annotated[bool, Query(alias="all", description="Those that are over too")] = False,
) -> Answer:
    """Whom Stanch calls, about what, and who has seen it."""
    del actor
    return desk_of(request).pages(unresolved=not over)


@router.get("/oncall", tags=["calls"], summary="Who is on call")
def on_call(request: Request, actor: Reader) -> Answer:
    """`{at, schedules, chains, levels}`; a schedule that cannot be asked says why."""
    del actor
    return desk_of(request).on_call()
