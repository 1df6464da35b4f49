"""`GET /api/v1/events`: the journal entries of one chain as they are made (server-sent events)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from engine.domain.canonical import JsonObject
from engine.domain.errors import StanchError
from engine.edges.desk.acting import Desk
from engine.edges.web.auth import reader
from engine.edges.web.reads import ERRORS, desk_of

router = APIRouter(
    prefix="/api/v1", tags=["events"], responses=ERRORS, dependencies=[Depends(reader)]
)
KEEPALIVE = 15.0  # seconds; proxies cut streams that are silent for longer


@router.get(
    "/events",
    summary="Follow a run",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(
    request: Request,
    run: Annotated[str, Query(description="The run to follow")],
    after: Annotated[int, Query(ge=0, description="Only entries after this number")] = 0,
) -> StreamingResponse:
    """One event an entry, `id` its number: a client that reconnects sends it as `Last-Event-ID`.

    The stream ends with the run's end.
    """
    last = request.headers.get("last-event-id", "")
    desk = desk_of(request)
    seen = int(last) if last.isdigit() else after
    first = await run_in_threadpool(desk.entries, run, after=seen)
    return StreamingResponse(_stream(request, desk, first, seen), media_type="text/event-stream")


async def _stream(
    request: Request, desk: Desk, answer: JsonObject, seen: int
) -> AsyncIterator[bytes]:
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wake(topic: str) -> None:
        if topic in {"journal", "runs"} and not loop.is_closed():
            loop.call_soon_threadsafe(changed.set)

    stop = await run_in_threadpool(desk.app.store.listen, wake)
    try:
        while True:
            for entry in answer["entries"]:
                seen = entry["n"]
                yield b"id: %d\nevent: %s\ndata: %s\n\n" % (
                    seen,
                    entry["kind"].encode(),
                    orjson.dumps(entry),
                )
            if answer["run"]["over"] and not answer["entries"]:
                return
            try:
                if not answer["entries"]:
                    await asyncio.wait_for(changed.wait(), KEEPALIVE)
            except TimeoutError:
                yield b": still here\n\n"
            if await request.is_disconnected():
                return
            changed.clear()
            answer = await run_in_threadpool(desk.entries, answer["run"]["id"], after=seen)
    except StanchError as error:
        yield b"event: error\ndata: %s\n\n" % orjson.dumps({"message": str(error)})
    finally:
        await run_in_threadpool(stop)
