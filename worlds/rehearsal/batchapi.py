"""A provider of batches in a rehearsal: an `http` world that behaves, where a list of calls only answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal, Self
from urllib.parse import parse_qsl

import httpx
from pydantic import Field, model_validator

from engine.domain.rehearsed import Message, NetChange, Scene, Unanswered
from worlds.batches.api import answer
from worlds.batches.provider import Batch, BatchProvider, Course, Failure
from worlds.rehearsal.specs import Span, Spec
from worlds.rehearsal.web import URL


class FailureSpec(Spec):
    """How an item fails."""

    status: int = Field(500, ge=100, le=599, description="The item's status")
    code: str = Field("server_error", description="The error's code")
    message: str = Field("The server had an error", description="What the error says")


class CourseSpec(Spec):
    """What becomes of a batch."""

    starts: Span = Field(60.0, description="How long it is validated")
    takes: Span = Field(3600.0, description="How long after its making it has ended")
    ends: Literal["completed", "failed", "expired"] = Field("completed", description="How it ends")
    failures: dict[str, FailureSpec] = Field({}, description="Items that fail, by custom id")
    errors: list[dict[str, Any]] = Field(
        [], description="Why the provider refused it", examples=[[{"code": "token_limit_exceeded"}]]
    )

    def course(self) -> Course:
        failures = {name: Failure(**one.model_dump()) for name, one in self.failures.items()}
        return Course(self.starts, self.takes, self.ends, failures, self.errors)


class BatchSpec(CourseSpec):
    """A batch that is there at the beginning. Its items are item-1, item-2, …"""

    items: int = Field(ge=0, description="How many items it has")
    age: Span = Field(0.0, description="How long ago it was made")
    status: str | None = Field(
        None, description="Its state, for good; by its course where left out"
    )
    of: str | None = Field(None, description="The batch whose items it submits again for a step")
    endpoint: str = Field("/v1/chat/completions", description="Where its items go")


class BatchApiSpec(Spec):
    """A provider with OpenAI's Batch API: `openai.*` read it, and submit and cancel for real."""

    batches: dict[str, BatchSpec] = Field({}, description="Batches by id, oldest first")
    courses: list[CourseSpec] = Field(
        [], description="What becomes of batches made later, one each; the last one stays"
    )

    @model_validator(mode="after")
    def _ids(self) -> Self:
        wrong = next((name for name in self.batches if not name.startswith("batch_")), None)
        if wrong is not None:
            raise ValueError(f"a batch's id begins with batch_, unlike {wrong!r}")
        return self


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
