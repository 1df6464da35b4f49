"""A small HTTP service with pauses to create and delete. It honours idempotency keys and wants a token.

What it refuses it repeats, credentials and all, in every encoding: a client must keep that to itself.
"""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import quote

TOKEN = "s3cr3t+token/with=odd&chars"


class Service:
    """The service and what it holds."""

    def __init__(self) -> None:
        self.pauses: dict[str, Any] = {}
        self.pages: dict[str, Any] = {}  # documents by path and query
        self.answers: dict[str, tuple[int, Any]] = {}
        self.created = 0
        self.lock = threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _answer(self, status: int, body: Any, **headers: str) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                given = self.headers.get("Authorization", "")
                if given != f"Bearer {TOKEN}":
                    said = [given, base64.b64encode(given.encode()).decode(), quote(given, safe="")]
                    self._answer(401, {"error": f"who are you? {said}"})
                    return
                status, answer, headers = service.handle(
                    self.command, self.path, body, self.headers.get("Idempotency-Key")
                )
                self._answer(status, answer, **headers)

        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler._serve)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

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
            "/busy": (429, {"error": "slow down"}, {"Retry_After": "7"}),
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
