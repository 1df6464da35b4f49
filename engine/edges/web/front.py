"""The outermost ASGI application: deliveries go straight to the intake, all else to the API."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from engine.edges.intake.endpoint import PATH


class Front:
    """One comparison instead of the API's middlewares: a storm of deliveries is where they would cost most.

    The intake has its own authentication and limits.
    """

    def __init__(self, intake: ASGIApp, api: ASGIApp) -> None:
        self._intake = intake
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            await self._intake(scope, receive, send)
        else:
            await self._api(scope, receive, send)
