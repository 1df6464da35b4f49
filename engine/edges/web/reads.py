"""The looking half of the API: lists with paging, and items by id or by its unique beginning or end."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request

from engine.domain.errors import InvalidInput
from engine.edges.desk.acting import Desk
from engine.edges.desk.reading import page_of
from engine.edges.web.auth import reader
from engine.edges.web.models import BrakesAnswer, ErrorAnswer, ListAnswer

ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorAnswer, "description": "No token, or a bad one"},
    403: {"model": ErrorAnswer, "description": "Refused by policy; `missing_role` says who could"},
    404: {
        "model": ErrorAnswer,
        "description": "No such thing; `near` lists what was perhaps meant",
    },
    422: {"model": ErrorAnswer, "description": "Something sent is wrong; the message says what"},
    503: {"model": ErrorAnswer, "description": "The store cannot be reached now; try again"},
}
router = APIRouter(prefix="/api/v1", responses=ERRORS, dependencies=[Depends(reader)])

Limit = Annotated[int, Query(ge=1, le=500, description="How many, at most")]
Before = Annotated[str | None, Query(description="The `next` of the page before")]
Id = Annotated[str, Path(description="An id, or its unique beginning or end")]
Answer = dict[str, Any]


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


@router.get("/alerts", tags=["alerts"], response_model=ListAnswer, summary="List alerts")
def alerts(
    request: Request,
    limit: Limit = 50,
    before: Before = None,
    label: Annotated[
        list[str] | None, Query(description="`name=value`; may be given several times")
    ] = None,
) -> Answer:
    """Every alert that was accepted, whether or not a rule matched it."""
    labels = {}
    for text in label or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(f"label {text!r} is not of the form name=value")
        labels[name] = value
    return desk_of(request).alerts(page_of(limit, before), labels or None)


@router.get("/alerts/{ref}", tags=["alerts"], summary="One alert and what was decided about it")
def alert(request: Request, ref: Id) -> Answer:
    return desk_of(request).alert(ref)


@router.get("/deliveries", tags=["alerts"], response_model=ListAnswer, summary="List losses")
def deliveries(request: Request, limit: Limit = 50, before: Before = None) -> Answer:
    """Deliveries of which alerts were cut by the sender, over the limit, or could not be read."""
    return desk_of(request).deliveries(page_of(limit, before))


@router.get("/decisions", tags=["alerts"], response_model=ListAnswer, summary="List decisions")
def decisions(
    request: Request,
    *,
    limit: Limit = 50,
    before: Before = None,
    alert: Annotated[str | None, Query(description="An alert's whole id")] = None,
    rule: Annotated[str | None, Query(description="A rule's name")] = None,
    run: Annotated[str | None, Query(description="A run's whole id")] = None,
    incident: Annotated[str | None, Query(description="An incident's whole id")] = None,
) -> Answer:
    """What the rules decided, match or not, and why."""
    return desk_of(request).decisions(
        page_of(limit, before), alert_id=alert, rule=rule, run_id=run, incident_id=incident
    )


@router.get("/incidents", tags=["incidents"], response_model=ListAnswer, summary="List incidents")
def incidents(
    request: Request,
    limit: Limit = 50,
    before: Before = None,
    open_only: Annotated[
        bool, Query(alias="open", description="Only those that are not over")
    ] = False,
) -> Answer:
    return desk_of(request).incidents(page_of(limit, before), open_only=open_only)


@router.get("/incidents/{ref}", tags=["incidents"], summary="One incident with its timeline")
def incident(request: Request, ref: Id) -> Answer:
    return desk_of(request).incident(ref)


@router.get("/runs", tags=["runs"], response_model=ListAnswer, summary="List runs")
def runs(
    request: Request,
    *,
    limit: Limit = 50,
    before: Before = None,
    state: Annotated[
        list[str] | None, Query(description="Only these states; may be given several times")
    ] = None,
    incident: Annotated[str | None, Query(description="Only of this incident")] = None,
    playbook: Annotated[str | None, Query(description="Only of this playbook")] = None,
) -> Answer:
    return desk_of(request).runs(
        page_of(limit, before), states=state or (), incident_id=incident, playbook=playbook
    )


@router.get("/runs/{ref}", tags=["runs"], summary="One run with its steps and gates")
def run(request: Request, ref: Id) -> Answer:
    return desk_of(request).run(ref)


@router.get("/runs/{ref}/entries", tags=["runs"], summary="A run's journal")
def entries(
    request: Request,
    ref: Id,
    after: Annotated[int, Query(ge=0, description="Only entries after this number")] = 0,
    limit: Limit = 500,
) -> Answer:
    """`{run, entries}`: oldest first, each with a line of text. Ask again with the last `n` to follow."""
    return desk_of(request).entries(ref, after=after, limit=limit)


@router.get("/plans", tags=["plans"], response_model=ListAnswer, summary="List plans")
def plans(request: Request, limit: Limit = 50, before: Before = None) -> Answer:
    """The outline of every run's latest plan."""
    return desk_of(request).plans(page_of(limit, before))


@router.get("/plans/{ref}", tags=["plans"], summary="One plan")
def plan(
    request: Request,
    ref: Annotated[str, Path(description="A fingerprint, a run's id (its latest) or a gate's id")],
) -> Answer:
    return desk_of(request).plan(ref)


@router.get("/approvals", tags=["approvals"], response_model=ListAnswer, summary="List gates")
def approvals(
    request: Request,
    closed: Annotated[bool, Query(description="Closed gates too")] = False,
) -> Answer:
    return desk_of(request).approvals(open_only=not closed)


@router.get("/approvals/{gate}", tags=["approvals"], summary="One gate with its votes")
def approval(request: Request, gate: Id) -> Answer:
    return desk_of(request).gate(gate)


@router.get("/rules", tags=["rules"], response_model=ListAnswer, summary="List rules")
def rules(request: Request) -> Answer:
    return desk_of(request).rules()


@router.get("/rules/{name}", tags=["rules"], summary="One rule")
def rule(request: Request, name: str) -> Answer:
    return desk_of(request).rule(name)


@router.get("/playbooks", tags=["playbooks"], response_model=ListAnswer, summary="List playbooks")
def playbooks(request: Request) -> Answer:
    return desk_of(request).playbooks()


@router.get("/playbooks/{name:path}", tags=["playbooks"], summary="One playbook as it would run")
def playbook(request: Request, name: str) -> Answer:
    return desk_of(request).playbook(name)


@router.get("/brakes", tags=["brakes"], response_model=BrakesAnswer, summary="All brakes")
def brakes(request: Request) -> Answer:
    return desk_of(request).brakes()


@router.get("/batches", tags=["runs"], response_model=ListAnswer, summary="Batches under way")
def batches(request: Request) -> Answer:
    """Every foreach that active runs are in: items done, failed, under way, and the time that is left."""
    return desk_of(request).batches()


@router.get("/warmup", tags=["runs"], summary="What was fetched before runs needed it")
def warmup(request: Request) -> Answer:
    """Of the process that answers: what warm-up fetched, memory, hits and misses since the start."""
    return desk_of(request).warmup()


@router.get("/metrics", tags=["runs"], summary="Series of the last days by stage")
def metrics(
    request: Request,
    since: Annotated[
        float, Query(description="How far back, in seconds; 7 days at most")
    ] = 86400.0,
    every: Annotated[float, Query(description="The width of an interval, in seconds")] = 3600.0,
) -> Answer:
    """Starts, ends, durations and errors of each stage, and failures that came in two runs or more."""
    return desk_of(request).metrics(since, every)


@router.get("/audit", tags=["audit"], summary="Verify the journal")
def audit(
    request: Request,
    seal: Annotated[
        str | None, Query(description="An earlier answer's `last_seal`, which must still be there")
    ] = None,
) -> Answer:
    """Reads every chain: `ok`, and `findings`: entries changed, missing, out of order or removed."""
    return desk_of(request).audit(seal)


@router.get("/show/{text}", tags=["find"], summary="Whatever an id names")
def show(request: Request, text: str) -> Answer:
    """`{kind, item}` of a run, incident, alert, gate or plan."""
    return desk_of(request).show(text)
