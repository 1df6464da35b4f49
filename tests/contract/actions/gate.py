"""A door before a server that lets some paths through and forbids every other, as a reverse proxy does."""

from __future__ import annotations

import threading
from collections.abc import Collection
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Gate:
    """Listens on a port of its own and forwards what asks for one of `paths` to `port`, on 127.0.0.1."""

    def __init__(self, port: int, paths: Collection[str]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def _serve(self) -> None:
                if self.path.partition("?")[0] not in paths:
                    self.send_error(403)
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                upstream = HTTPConnection("127.0.0.1", port)
                headers = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower() not in ("accept-encoding", "connection")
                }
                upstream.request(self.command, self.path, body, headers)
                answer = upstream.getresponse()
                data = answer.read()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                upstream.close()

        for method in ("GET", "POST"):
            setattr(Handler, f"do_{method}", Handler._serve)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
