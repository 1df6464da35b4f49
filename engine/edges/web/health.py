"""Is the process there (`/healthz`), can it do its work (`/readyz`), and its numbers (`/metrics`)."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from engine.domain.canonical import JsonObject
from engine.domain.errors import StanchError
from engine.edges.web.metrics import Metrics
from engine.edges.web.ports import Application

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Whether the process is there")
async def healthz() -> JsonObject:
    """Asks nothing of the store: a process that answers need not be restarted."""
    return {"ok": True}


def unready(application: Application) -> list[str]:
    """Return why this process cannot do its work now; an empty list: it can."""
    try:
        # A write of nothing: it takes the writer's lock and the log, which a full disk or a
        # read-only file refuses, and leaves no trace.
        application.store.write(lambda tx: tx.timers.clear("readyz"))
        alive = application.store.read(lambda tx: tx.workers.alive())
    except StanchError as error:
        return [f"the store cannot be written: {error}"]
    return [] if alive else ["no worker is alive: runs would wait"]


@router.get(
    "/readyz",
    summary="Whether the store can be written and workers are alive",
    responses={503: {"description": "`reasons` says what is missing"}},
)
def readyz(request: Request) -> Response:
    reasons = unready(request.app.state.application)
    status = 503 if reasons else 200
    return JSONResponse({"ready": not reasons, "reasons": reasons}, status_code=status)


@router.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
def metrics(request: Request) -> Response:
    found: Metrics = request.app.state.metrics
    return Response(found.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
