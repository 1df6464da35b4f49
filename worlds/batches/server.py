"""The provider over HTTP on loopback: files are sent in chunks, as they are made.

with BatchServer(BatchProvider(SystemClock()), token="…") as server: ...      # url: server.url
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from worlds.batches.api import Reply, answer
from worlds.batches.provider import BatchProvider


class BatchServer:
    """Serves a provider on a free port of 127.0.0.1.

    Args:
        token: what callers must bring as a bearer token.
        pages: further documents by path, such as a status page; they need no token.

    Attributes:
        calls: what was asked, `METHOD /path`. refusals: statuses that the next POSTs of a path are refused
            with, one each.
    """

    def __init__(
        self, provider: BatchProvider, token: str, pages: dict[str, Any] | None = None
    ) -> None:
        self.provider = provider
        self.token = token
        self.pages = pages or {}
        self.calls: list[str] = []
        self.refusals: dict[str, list[int]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, url: str, authorization: str, body: bytes) -> Reply:
        """Answer a request, refused where it brings no token or a refusal is due."""
        path = urlsplit(url).path
        self.calls.append(f"{method} {path}")
        if path in self.pages:
            return Reply(body=self.pages[path])
        if authorization != f"Bearer {self.token}":
            return Reply(401, {"error": {"message": "Incorrect API key provided."}})
        due = self.refusals.get(path)
        if method == "POST" and due:
            status = due.pop(0)
            return Reply(status, {"error": {"message": "Rate limit reached", "code": status}})
        query = dict(parse_qsl(urlsplit(url).query))
        found = answer(self.provider, method, path, query, body)
        return found or Reply(404, {"error": {"message": f"Invalid URL ({method} {path})"}})


def _handler(server: BatchServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            given = self.headers.get("Authorization", "")
            reply = server.answer(self.command, self.path, given, body)
            self.send_response(reply.status)
            if reply.lines is None:
                self._whole(json.dumps(reply.body).encode())
            else:
                self._chunked(reply)

        def _whole(self, data: bytes) -> None:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _chunked(self, reply: Reply) -> None:
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                for chunk in reply.chunks():
                    self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # who asked has heard enough

    for method in ("GET", "POST"):
        setattr(Handler, f"do_{method}", Handler._serve)
    return Handler
