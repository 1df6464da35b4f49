"""A provider of batches in a rehearsal: an `http` world that behaves, where a list of calls only answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import httpx

from engine.domain.rehearsed import Message, NetChange, Scene, Unanswered
from worlds.batches.api import answer
from worlds.batches.provider import Batch, BatchProvider
from worlds.rehearsal.batchspec import BatchApiSpec
from worlds.rehearsal.web import URL


class BatchApiWorld(httpx.BaseTransport):
    """The provider, its beginning, and what differs from it."""

    def __init__(self, spec: BatchApiSpec, scene: Scene) -> None:
        self._connection = scene.connection
        self.provider = BatchProvider(scene.clock, [one.course() for one in spec.courses])
        now = scene.clock.now()
        for name, one in spec.batches.items():
            created = now - timedelta(seconds=one.age)
            course = one.course()
            made = Batch(
                name, one.items, created, f"file-in-{name}", one.endpoint, one.status, course
            )
            metadata = {"stanch_of": one.of} if one.of else {}
            self.provider.put(replace(made, metadata=metadata))
        self._before = set(self.provider.batches)
        self._cancelled = self._states("cancelled")
        self._unanswered: list[str] = []

    def _states(self, state: str) -> set[str]:
        now = self.provider.clock.now()
        return {one.id for one in self.provider.batches.values() if one.state(now) == state}

    def settings(self) -> Mapping[str, Any]:
        return {"url": URL}

    def transport(self, *, writable: bool) -> Any:
        del writable  # the client's own guard lets no write through
        return self

    def changes(self) -> Sequence[NetChange]:
        """New batches with what they are of, and those that were cancelled; courses are no change."""
        found = []
        cancelled = self._states("cancelled")
        for name, batch in self.provider.batches.items():
            if name not in self._before:
                fields = {"items": (None, batch.items), "cancelled": (None, name in cancelled)}
                found.append(NetChange(f"/v1/batches/{name}", fields, what="created"))
            elif name in cancelled - self._cancelled:
                found.append(NetChange(f"/v1/batches/{name}", {"cancelled": (False, True)}))
        return found

    def messages(self) -> Sequence[Message]:
        return ()

    def unanswered(self) -> Sequence[str]:
        return self._unanswered

    def unasked(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        """Nothing is open."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        query = dict(parse_qsl(request.url.query.decode(), keep_blank_values=True))
        method, path = request.method, request.url.path
        reply = answer(self.provider, method, path, query, request.read())
        if reply is None:
            self._unanswered.append(f"{self._connection}: {method} {path}")
            raise Unanswered(self._connection, f"the call {method} {path}")
        headers = {"Content-Type": "application/json" if reply.lines is None else "text/plain"}
        content = b"".join(reply.chunks())
        return httpx.Response(reply.status, headers=headers, content=content, request=request)
