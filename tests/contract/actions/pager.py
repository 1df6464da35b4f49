"""A receiver that behaves as PagerDuty's and Opsgenie's: one open alert a dedup_key or alias.

What it refuses it repeats, keys and all: a client must keep that to itself.
"""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import quote, unquote

KEY = "r0uting+key/=&"


class Pager:
    """The receiver, its alerts by name, and everything it was sent."""

    def __init__(self) -> None:
        self.alerts: dict[str, Any] = {}
        self.bodies: list[Any] = []
        pager = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(length))
                given = self.headers.get("Authorization", "") + str(body.get("routing_key", ""))
                status = pager.take(self.path, body, self.headers.get("Authorization"))
                said = [given, base64.b64encode(given.encode()).decode(), quote(given, safe="")]
                data = json.dumps({"said": said}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, path: str, body: Any, authorization: str | None) -> int:
        self.bodies.append(body)
        if path == "/v2/enqueue":
            if body["routing_key"] != KEY:
                return 401
            return self._put(body["dedup_key"], body["event_action"], body.get("payload"))
        if authorization != f"GenieKey {KEY}":
            return 401
        if path == "/v2/alerts":
            return self._put(body["alias"], "trigger", body)
        name, _, verb = path.partition("?")[0].removeprefix("/v2/alerts/").rpartition("/")
        return self._put(unquote(name), "resolve" if verb == "close" else verb, None)

    def _put(self, name: str, event: str, content: Any) -> int:
        if event == "resolve":
            self.alerts.pop(name, None)
        else:
            self.alerts.setdefault(name, content)
        return 202
