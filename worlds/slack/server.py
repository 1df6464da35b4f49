"""The workspace over HTTP on loopback, with Socket Mode beside it."""

from __future__ import annotations

import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from engine.domain.clock import Clock, SystemClock
from worlds.slack.refusals import Refused, TooMany
from worlds.slack.sockets import Sockets
from worlds.slack.workspace import Workspace

log = logging.getLogger(__name__)


class _Cut(Exception):
    """The connection breaks here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._route(urlsplit(self.path), body)
        except (_Cut, BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def do_GET(self) -> None:
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.close_connection = True
            self.server.sockets.serve(self)
        else:
            self.do_POST()

    def _route(self, url: Any, body: bytes) -> None:
        workspace = self.server.workspace
        if workspace.down:
            raise _Cut
        if url.path.startswith("/response/"):
            self._respond(f"{self.server.base}{url.path}", body)
        elif url.path.startswith("/upload/"):
            workspace.uploaded(url.path.rpartition("/")[2], _file(self.headers, body))
            self._send(200, "OK", plain=True)
        else:
            self._call(url.path.rpartition("/")[2], url.query, body)

    def _respond(self, url: str, body: bytes) -> None:
        try:
            self.server.workspace.respond(url, json.loads(body))
        except Refused as refused:
            self._send(404, refused.code, plain=True)
        else:
            self._send(200, "ok", plain=True)

    def _call(self, method: str, query: str, body: bytes) -> None:
        workspace = self.server.workspace
        given: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
        if self.headers.get("Content-Type", "").startswith("application/json"):
            given |= json.loads(body or b"{}")
        else:
            given |= dict(parse_qsl(body.decode(), keep_blank_values=True))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        waiting = workspace.faults.get(method) or []
        fault = waiting.pop(0) if waiting else ""
        if fault == "dropped":
            raise _Cut
        try:
            if fault.startswith("429"):
                raise TooMany(int(fault.split()[1]))
            if fault and fault not in {"lost", "500"}:
                raise Refused(fault)
            answer = workspace.call(method, token, given)
            if method == "apps.connections.open":
                answer = {"url": self.server.sockets.url()}
        except TooMany as limit:
            workspace.refused_at.append((method, workspace.clock.now().timestamp()))
            told = {"ok": False, "error": "ratelimited"}
            self._send(429, told, {"Retry-After": str(limit.seconds)})
            return
        except Refused as refused:
            self._send(200, {"ok": False, "error": refused.code, **refused.more})
            return
        if fault == "lost":
            raise _Cut
        if fault == "500":
            self._send(500, "<html>Server Error</html>", plain=True)
            return
        text = json.dumps({"ok": True, **answer}).replace("{base}", self.server.base)
        self._send(200, json.loads(text), {"X-OAuth-Scopes": ",".join(sorted(workspace.scopes))})

    def _send(
        self, status: int, body: Any, headers: dict[str, str] | None = None, *, plain: bool = False
    ) -> None:
        data = (body if plain else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if plain else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        log.debug(format, *args)


def _file(headers: Any, body: bytes) -> bytes:
    kind = headers.get("Content-Type", "")
    if "multipart" not in kind:
        return body
    boundary = kind.rpartition("boundary=")[2].encode()
    part: bytes = body.split(b"--" + boundary)[1]
    return part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.workspace = workspace
        self.base = f"http://127.0.0.1:{self.server_address[1]}"
        self.sockets = Sockets(self.base.replace("http", "ws"))


class SlackServer:
    """A workspace that is served while the context lasts. `api` is the base URL for clients."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.workspace = Workspace(clock or SystemClock())
        self._server = _Server(self.workspace)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def base(self) -> str:
        return self._server.base

    @property
    def api(self) -> str:
        return f"{self.base}/api"

    @property
    def sockets(self) -> Sockets:
        return self._server.sockets

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.sockets.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
