"""The cluster without a socket, in the form in which the Kubernetes client wants its transport."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.domain.errors import ActionFailed, Category
from worlds.cluster.cluster import Cluster
from worlds.cluster.messages import ADMIN, Request, User
from worlds.cluster.reads import Watch

_TURN = 2.0  # seconds of the cluster's clock between two looks


class InProcess:
    """Sends requests to a cluster by calling it. Faults that break connections raise as the wire would."""

    def __init__(self, cluster: Cluster, user: User = ADMIN) -> None:
        self._cluster = cluster
        self._user = user

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any,
        content_type: str,
        *,
        timeout: float,
        limit: int,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and at most `limit` bytes of the body.

        Raises:
            ActionFailed: (transient) a fault broke the connection.
        """
        del timeout
        headers = {"user-agent": "stanch"}
        sent = b""
        if body is not None:
            headers["content-type"] = content_type
            sent = json.dumps(body).encode()
        request = Request(method, path, dict(query), headers, sent, self._user)
        response = self._cluster.handle(request)
        if response.headers.get("x-reset"):
            write = method != "GET" and query.get("dryRun") != "All"
            what = f"{method} {path}: no answer: the connection was reset"
            raise ActionFailed(Category.TRANSIENT, what, effect_possible=write)
        data = response.body if response.stream is None else b"".join(response.stream)
        return response.status, response.headers, data[:limit]

    def first(
        self, path: str, query: Mapping[str, str], *, timeout: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return a watch's first event. Time passes by the cluster's clock, as its controllers have it.

        Raises:
            ActionFailed: (transient) a fault broke the connection.
        """
        clock = self._cluster.clock
        end = clock.monotonic() + min(timeout, float(query.get("timeoutSeconds", timeout)))
        headers = {"user-agent": "stanch"}
        request = Request("GET", path, dict(query), headers, b"", self._user)
        response = self._cluster.handle(request)
        if response.headers.get("x-reset"):
            what = f"GET {path}: no answer: the connection was reset"
            raise ActionFailed(Category.TRANSIENT, what, effect_possible=False)
        if not isinstance(response.stream, Watch):
            return response.status, response.headers, response.body
        while not (lines := response.stream.pending()) and (left := end - clock.monotonic()) > 0:
            clock.sleep(min(left, _TURN))
            self._cluster.run()
        return response.status, response.headers, b"".join(lines[:1])

    def run(
        self,
        path: str,
        query: Sequence[tuple[str, str]],
        take: Callable[[int, bytes], None],
        *,
        timeout: float,
    ) -> tuple[int, Mapping[str, str], bytes, bool]:
        """Run a command in a pod; what takes longer than `timeout` is given up."""
        command = tuple(value for name, value in query if name == "command")
        headers = {"user-agent": "stanch", "upgrade": "websocket"}
        request = Request("GET", path, dict(query), headers, b"", self._user, command)
        response = self._cluster.handle(request)
        late = response.seconds > timeout
        self._cluster.clock.sleep(min(response.seconds, timeout))
        for channel, data in () if late else response.frames or ():
            take(channel, data)
        return response.status, response.headers, response.body, late

    def close(self) -> None:
        """Nothing is open."""
