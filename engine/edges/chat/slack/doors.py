"""`POST /slack/commands` and `/slack/interactions`: verified, stored, acknowledged; the work comes after."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.domain.clock import Clock
from engine.domain.errors import InvalidInput, StanchError
from engine.edges.chat.slack.requests import Request, of_command, of_interaction
from engine.edges.chat.slack.signature import refusal, request_id
from engine.journal.store import Store

MOST = 256 * 1024  # bytes of a request
_SOON = 2.5  # seconds to store a request; Slack waits 3 for its acknowledgement

Read = Callable[[dict[str, str]], Request | None]


class Doors:
    """The two endpoints. `path`s are Slack's request URLs."""

    def __init__(self, store: Store, secret: str, clock: Clock) -> None:
        self._store = store
        self._secret = secret
        self._clock = clock

    def routes(self) -> list[Route]:
        return [
            Route("/slack/commands", self._command, methods=["POST"], include_in_schema=False),
            Route(
                "/slack/interactions", self._interaction, methods=["POST"], include_in_schema=False
            ),
        ]

    async def _command(self, request: HttpRequest) -> Response:
        return await self._take(request, of_command)

    async def _interaction(self, request: HttpRequest) -> Response:
        return await self._take(request, _interaction)

    async def _take(self, http: HttpRequest, read: Read) -> Response:
        body = await _body(http)
        if body is None:
            return _refused(413, f"the body is over {MOST} bytes")
        timestamp = http.headers.get("x-slack-request-timestamp")
        signature = http.headers.get("x-slack-signature")
        now = self._clock.now().timestamp()
        why = refusal(self._secret, timestamp, signature, body, now)
        if why is not None:
            return _refused(401, why)
        try:
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            request = read(form)
        except (InvalidInput, UnicodeDecodeError, ValueError) as error:
            return _refused(400, str(error))
        if form.get("ssl_check") or request is None:
            return Response(status_code=200)
        return await self._stored(request_id(str(timestamp), str(signature)), request)

    async def _stored(self, name: str, request: Request) -> Response:
        def take() -> bool:
            return self._store.write(lambda tx: tx.inbox.take(name, request.kind, request.body))

        try:
            fresh = await asyncio.wait_for(asyncio.to_thread(take), _SOON)
        except TimeoutError:
            return _said(
                "It is not sure that this was stored. Look with /stanch status before you say it again."
            )
        except StanchError:
            return _said(
                "This could not be stored, so nothing will be done. Say it again in a moment."
            )
        if not fresh:
            return _refused(409, "this very request came before")
        return Response(status_code=200)


def _interaction(form: dict[str, str]) -> Request | None:
    payload = json.loads(form.get("payload", ""))
    if not isinstance(payload, dict):
        raise InvalidInput("the payload is no object")
    return of_interaction(payload)


async def _body(http: HttpRequest) -> bytes | None:
    found = bytearray()
    async for chunk in http.stream():
        found += chunk
        if len(found) > MOST:
            return None
    return bytes(found)


def _refused(status: int, why: str) -> Response:
    return JSONResponse({"error": {"code": "refused", "message": why, "hint": ""}}, status)


def _said(text: str) -> Response:
    return JSONResponse({"response_type": "ephemeral", "text": text})
