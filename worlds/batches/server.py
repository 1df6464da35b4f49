"""The provider over HTTP on loopback: files are sent in chunks, as they are made.

with BatchServer(BatchProvider(SystemClock()), token="…") as server: ...      # url: server.url
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from worlds.batches.api import Reply, answer
from worlds.batches.provider import BatchProvider
from worlds.loopback import Loopback, QuietHandler


class BatchServer(Loopback):
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
        super().__init__(_handler(self))

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


def _handler(server: BatchServer) -> type[QuietHandler]:
    class Handler(QuietHandler):
        def serve(self) -> None:
            given = self.headers.get("Authorization", "")
            reply = server.answer(self.command, self.path, given, self.content())
            if reply.lines is None:
                self.document(reply.status, reply.body)
            else:
                self._chunked(reply)

        def _chunked(self, reply: Reply) -> None:
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                for chunk in reply.chunks():
                    self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # who asked has heard enough

    return Handler
