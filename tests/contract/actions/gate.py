"""A door before a server that lets some paths through and forbids every other, as a reverse proxy does."""

from __future__ import annotations

from collections.abc import Collection
from http.client import HTTPConnection

from worlds.loopback import Loopback, QuietHandler, served_by

_OWN = ("accept-encoding", "connection")  # headers that each side says for itself


class Gate(Loopback):
    """Forwards what asks for one of `paths` to `port`, on 127.0.0.1."""

    def __init__(self, port: int, paths: Collection[str]) -> None:
        self._upstream, self._paths = port, paths
        super().__init__(served_by(self._serve))

    def _serve(self, request: QuietHandler) -> None:
        body = request.content()
        if request.path.partition("?")[0] not in self._paths:
            request.send_error(403)
            return
        upstream = HTTPConnection("127.0.0.1", self._upstream)
        headers = {n: value for n, value in request.headers.items() if n.lower() not in _OWN}
        upstream.request(request.command, request.path, body, headers)
        answer = upstream.getresponse()
        request.whole(answer.status, answer.headers["Content-Type"], answer.read())
        upstream.close()
