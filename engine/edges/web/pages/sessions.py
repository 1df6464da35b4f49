"""Who looks at the pages, and proof that a form of ours was sent.

A person logs in with their own API token once; the cookie holds a session of its own, which ends after
twelve hours, at logout, and with the token. It is HttpOnly and SameSite=Strict. Every form carries a mark
that is made of the session and of a secret cookie, so that a page of another origin cannot send one.
On a loopback address without any token no login is needed, as with the API.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from fastapi import Request, Response

from engine.domain.errors import Refused
from engine.domain.people import Actor
from engine.edges.desk.people import Level, hash_token, local_actor, require
from engine.edges.problems import Unauthenticated
from engine.edges.web.address import is_loopback, split_address
from engine.edges.web.ports import Application

SESSION, MARK = "stanch_session", "stanch_mark"
LASTS = timedelta(hours=12)


@dataclass(frozen=True)
class Visitor:
    """Who asks for a page.

    Attributes:
        mark: what forms of this visitor carry; "" before their cookie is set.
    """

    actor: Actor
    mark: str
    logged_in: bool


class Sessions:
    """Turns requests into visitors."""

    def __init__(self, application: Application) -> None:
        self._app = application

    def visitor(self, request: Request) -> Visitor:
        """Return who asks.

        Raises:
            Unauthenticated: nobody is logged in. Refused: no viewer, or a foreign host.
        """
        session = request.cookies.get(SESSION)
        mark = _mark(request.cookies.get(MARK, ""), session or "")
        if session:
            hashed = hash_token(session)
            found = self._app.store.read(lambda tx: tx.web_sessions.find(hashed))
            if found is not None:
                name, own = found
                directory = self._app.config.directory
                person = directory.person("token", name)
                return _viewer(
                    Visitor(directory.actor(person, "web", roles=own or None), mark, True)
                )
        self._local_only(request)
        return _viewer(Visitor(local_actor(self._app.config.directory, via="web"), mark, False))

    def _local_only(self, request: Request) -> None:
        """Without a session: a loopback server without tokens, asked by its own name."""
        host, _ = split_address(self._app.config.listen)
        if not is_loopback(host) or self._app.store.read(lambda tx: bool(tx.tokens.list())):
            raise Unauthenticated("log in with your token")
        asked = request.headers.get("host", "")
        if not is_loopback(urlsplit(f"//{asked}").hostname or ""):
            raise Refused(
                f"without a token the pages answer to loopback names only, not to {asked!r}"
            )

    def log_in(self, request: Request, response: Response, token: str) -> None:
        """Begin a session.

        Raises:
            Unauthenticated: the token is not known, has expired or was revoked.
        """
        hashed = hash_token(token.strip())
        if self._app.store.read(lambda tx: tx.tokens.find(hashed)) is None:
            raise Unauthenticated("this token is not known, has expired or was revoked")
        session = secrets.token_urlsafe(32)
        name = hash_token(session)
        self._app.store.write(lambda tx: tx.web_sessions.add(name, hashed, tx.now() + LASTS))
        self._cookie(request, response, SESSION, session)

    def log_out(self, request: Request, response: Response) -> None:
        """End the session, here and in the store."""
        session = request.cookies.get(SESSION)
        if session:
            name = hash_token(session)
            self._app.store.write(lambda tx: tx.web_sessions.end(name))
        response.delete_cookie(SESSION, path="/")

    def prepare(self, request: Request, response: Response) -> None:
        """Give a visitor the secret that their forms' marks are made of."""
        if not request.cookies.get(MARK):
            self._cookie(request, response, MARK, secrets.token_urlsafe(32))

    def check(self, request: Request, given: str) -> None:
        """Hold a form to its mark, and to its origin where the browser tells it.

        Raises:
            Refused: the form is not ours.
        """
        origin = request.headers.get("origin")
        asked = request.headers.get("host", "")
        if origin not in (None, "null") and urlsplit(origin or "").netloc != asked:
            raise Refused(f"this form came from {origin}, not from this page")
        if origin == "null" or request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            raise Refused("this form came from another page")
        secret = request.cookies.get(MARK, "")
        wanted = _mark(secret, request.cookies.get(SESSION) or "")
        if not secret or not hmac.compare_digest(given.encode(), wanted.encode()):
            raise Refused(
                "this form has expired; go back, load the page again and send it once more"
            )

    def _cookie(self, request: Request, response: Response, name: str, value: str) -> None:
        response.set_cookie(
            name,
            value,
            max_age=int(LASTS.total_seconds()),
            path="/",
            httponly=True,
            samesite="strict",
            secure=self._is_secure(request),
        )

    def _is_secure(self, request: Request) -> bool:
        """Whether the browser speaks TLS: by the pages' own address, where one is configured."""
        public = getattr(getattr(self._app.config, "chat", None), "pages", None)
        return request.url.scheme == "https" or str(public or "").startswith("https://")


def _viewer(visitor: Visitor) -> Visitor:
    require(visitor.actor, Level.VIEWER, "look at the pages")
    return visitor


def _mark(secret: str, session: str) -> str:
    """Return the mark of a visitor's forms."""
    if not secret:
        return ""
    return hmac.new(secret.encode(), f"form {session}".encode(), hashlib.sha256).hexdigest()
