"""A small HTTP server on a free port of 127.0.0.1, shared by whatever plays a system over HTTP, tests included."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class QuietHandler(BaseHTTPRequestHandler):
    """Keeps connections open and says nothing of requests: a scrape a second would fill the terminal."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # the body would wait until the headers are acknowledged

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def serve(self) -> None:
        """Answer a request, whatever its method (`command`)."""
        raise NotImplementedError

    def _any(self) -> None:
        self.serve()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815  the base's names

    def content(self) -> bytes:
        """Return the request's body."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def whole(
        self,
        status: int,
        content_type: str,
        data: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send an answer, to HEAD without its body; whoever has gone meanwhile misses it."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(data)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    def document(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        """Send an answer in JSON."""
        self.whole(status, "application/json", json.dumps(value).encode(), headers)


def served_by(serve: Callable[[QuietHandler], None]) -> type[QuietHandler]:
    """Return a handler that leaves every request to a function, such as a method of who holds the state."""

    class Handler(QuietHandler):
        def serve(self) -> None:
            serve(self)

    return Handler


class Loopback:
    """Serves from `with` to its end, each connection in a thread of its own. The port is taken at once."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        """`host:port`, as Prometheus wants it."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
