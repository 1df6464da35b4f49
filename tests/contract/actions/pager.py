"""A receiver that behaves as PagerDuty's and Opsgenie's: one open alert a dedup_key or alias.

What it refuses it repeats, keys and all: a client must keep that to itself.
"""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote, unquote

from worlds.loopback import Loopback, QuietHandler, served_by

KEY = "r0uting+key/=&"


class Pager(Loopback):
    """The receiver, its alerts by name, and everything it was sent."""

    def __init__(self) -> None:
        self.alerts: dict[str, Any] = {}
        self.bodies: list[Any] = []
        super().__init__(served_by(self._serve))

    def _serve(self, request: QuietHandler) -> None:
        if request.command != "POST":
            request.document(405, {})
            return
        body, authorization = json.loads(request.content()), request.headers.get("Authorization")
        given = (authorization or "") + str(body.get("routing_key", ""))
        said = [given, base64.b64encode(given.encode()).decode(), quote(given, safe="")]
        request.document(self.take(request.path, body, authorization), {"said": said})

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
