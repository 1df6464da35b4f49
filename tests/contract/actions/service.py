"""A small HTTP service with pauses to create and delete. It honours idempotency keys and wants a token.

What it refuses it repeats, credentials and all, in every encoding: a client must keep that to itself.
"""

from __future__ import annotations

import base64
import json
import threading
from typing import Any
from urllib.parse import quote

from worlds.loopback import Loopback, QuietHandler, served_by

TOKEN = "s3cr3t+token/with=odd&chars"


class Service(Loopback):
    """The service and what it holds."""

    def __init__(self) -> None:
        self.pauses: dict[str, Any] = {}
        self.pages: dict[str, Any] = {}  # documents by path and query
        self.answers: dict[str, tuple[int, Any]] = {}
        self.created = 0
        self.lock = threading.Lock()
        super().__init__(served_by(self._serve))

    def _serve(self, request: QuietHandler) -> None:
        body = request.content()
        given = request.headers.get("Authorization", "")
        if given != f"Bearer {TOKEN}":
            said = [given, base64.b64encode(given.encode()).decode(), quote(given, safe="")]
            request.document(401, {"error": f"who are you? {said}"})
            return
        key = request.headers.get("Idempotency-Key")
        status, answer, headers = self.handle(request.command, request.path, body, key)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        request.whole(status, "application/json", data, headers)

    def handle(
        self, method: str, path: str, body: bytes, key: str | None
    ) -> tuple[int, Any, dict[str, str]]:
        with self.lock:
            if method == "POST" and key and key in self.answers:
                status, answer = self.answers[key]
                return status, answer, {}
            status, answer, headers = self._act(method, path, body)
            if method == "POST" and key:
                self.answers[key] = (status, answer)
            return status, answer, headers

    def _act(self, method: str, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        fixed: dict[str, tuple[int, Any, dict[str, str]]] = {
            "/busy": (429, {"error": "slow down"}, {"Retry-After": "7"}),
            "/toolarge": (413, {"error": "too large"}, {}),
            "/broken": (502, {"error": "bad gateway"}, {}),
            "/elsewhere": (302, {}, {"Location": "http://127.0.0.1:1/steal"}),
            "/huge": (200, b'"' + b"x" * 3_000_000 + b'"', {}),
            "/echo": (200, {"token": TOKEN, "coded": quote(TOKEN, safe="")}, {}),
            "/v1/search": (200, {"found": body.decode()}, {}),
        }
        if path in fixed:
            return fixed[path]
        if path in self.pages:
            page = self.pages[path]
            document, headers = page if isinstance(page, tuple) else (page, {})
            return 200, document, headers
        name = path.removeprefix("/v1/pauses").strip("/")
        if method == "POST" and not name:
            self.created += 1
            identity = f"p{self.created}"
            self.pauses[identity] = json.loads(body)
            return 201, {"id": identity, **self.pauses[identity]}, {}
        if name in self.pauses:
            if method == "DELETE":
                return 200, self.pauses.pop(name), {}
            return 200, self.pauses[name], {}
        return 404, {"error": f"no {path}"}, {}
