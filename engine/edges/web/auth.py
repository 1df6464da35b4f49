"""Who is at the API's door: a bearer token's owner, or, on loopback without any token, the local user.

A browser on the same machine can be made to send requests to loopback (CSRF, DNS rebinding). So without
a token the Host must be a loopback name, a foreign Origin is refused, and writes must be JSON, which a
page of another origin cannot send without a preflight that is never answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from engine.domain.errors import Refused
from engine.domain.people import Actor
from engine.edges.desk.people import Level, actor_of_token, local_actor, require
from engine.edges.problems import Unauthenticated
from engine.edges.web.address import is_loopback, split_address
from engine.edges.web.ports import Application

_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="API token",
    description="A personal token, made with `stanch token create NAME`. On a loopback address "
    "without any token, none is needed.",
)


class Door:
    """Turns a request into an actor."""

    def __init__(self, application: Application) -> None:
        self._app = application

    def actor(self, headers: Mapping[str, str], token: str | None, *, writes: bool) -> Actor:
        """Return who asks.

        Raises:
            Unauthenticated: a bad token, or none where one is needed.
            Refused: no token, and the request may come from a page of another origin.
        """
        directory = self._app.config.directory
        if token is not None:
            return actor_of_token(self._app.store, token, directory)
        if headers.get("authorization"):
            raise Unauthenticated("only bearer tokens open this API")
        host, _ = split_address(self._app.config.listen)
        if not is_loopback(host) or self._app.store.read(lambda tx: bool(tx.tokens.list())):
            raise Unauthenticated("this API needs a token")
        _refuse_foreign_pages(headers, writes=writes)
        return local_actor(directory, via="api")


def _refuse_foreign_pages(headers: Mapping[str, str], *, writes: bool) -> None:
    asked = headers.get("host", "")
    if not is_loopback(urlsplit(f"//{asked}").hostname or ""):
        raise Refused(
            f"without a token the API answers to loopback names only, not to the host {asked!r}; "
            "make a token with stanch token create"
        )
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != asked:
        raise Refused(f"a page of {origin} may not use this API without a token")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if writes and kind != "application/json":
        raise Refused("without a token, writes must be sent as application/json")


def reader(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None,
) -> Actor:
    """The actor of a request that looks; a viewer at the least."""
    return _actor(request, credentials, writes=False)


def writer(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None,
) -> Actor:
    """The actor of a request that acts; the desk checks what they may do."""
    return _actor(request, credentials, writes=True)


def _actor(
    request: Request, credentials: HTTPAuthorizationCredentials | None, *, writes: bool
) -> Actor:
    door: Door = request.app.state.door
    token = credentials.credentials if credentials else None
    actor = door.actor(request.headers, token, writes=writes)
    require(actor, Level.VIEWER, "use this API")
    return actor


Reader = Annotated[Actor, Depends(reader)]
Writer = Annotated[Actor, Depends(writer)]
