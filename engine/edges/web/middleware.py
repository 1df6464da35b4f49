"""Around every answer: security headers and a limit on bodies. Plain ASGI, since alerts pass here too."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
MAX_BODY = (
    2 * 1024 * 1024
)  # bytes, for the API: an artifact of 1 MiB in base64; the intake has its own


class SecurityHeaders:
    """Adds `HEADERS` to every response that does not say otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                own = {name.lower() for name, _ in given}  # a page has a policy of its own
                message["headers"] = [*given, *(one for one in HEADERS if one[0] not in own)]
            await send(message)

        await self._app(scope, receive, with_headers)


class _TooLarge(Exception):
    pass


class BodyLimit:
    """Answers 413 to a body over the limit, said or sent; `exempt` paths have limits of their own."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY, exempt: tuple[str, ...] = ()) -> None:
        self._app = app
        self._limit = limit
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._exempt:
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or int(said) > self._limit:
            await self._refuse(send)
            return
        body = _Counted(receive, self._limit)
        refused = False

        async def instead(message: Message) -> None:
            """Whatever the framework makes of the interrupted body, the answer is 413."""
            nonlocal refused
            if not body.over:
                await send(message)
            elif not refused:
                refused = True
                await self._refuse(send)

        try:
            await self._app(scope, body, instead)
        except _TooLarge:
            if not refused:
                await self._refuse(send)

    async def _refuse(self, send: Send) -> None:
        body = orjson.dumps(
            {
                "error": {
                    "code": "too_large",
                    "message": f"the body is over {self._limit} bytes",
                    "hint": "send less at once",
                }
            }
        )
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _Counted:
    """A body that is read up to the limit; `over` once there was more."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit
        self.over = False

    async def __call__(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.over = True
            raise _TooLarge
        return message
