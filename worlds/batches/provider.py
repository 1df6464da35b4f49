"""Batches and their files as the provider keeps them. What a batch has come to follows from the clock.

Source of shapes and states: OpenAI's API reference, Batch and Files. Files are made line by line when they
are read, so that large ones cost no memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.clock import Clock

ENDED = ("completed", "failed", "expired", "cancelled")
_ERRORS, _OUTPUT = "file-err-", "file-out-"
Lines = Callable[[], Iterable[str]]


class NotThere(LookupError):
    """There is no such batch or file."""


@dataclass(frozen=True)
class Failure:
    """How an item failed."""

    status: int = 500
    code: str = "server_error"
    message: str = "The server had an error"


@dataclass(frozen=True)
class Course:
    """What becomes of a batch: after `starts` seconds it is in progress, after `takes` it has ended so."""

    starts: float = 60.0
    takes: float = 3600.0
    ends: str = "completed"
    failures: Mapping[str, Failure] = field(default_factory=dict)
    errors: Sequence[JsonObject] = ()  # of the batch itself, such as a limit that it exceeds


@dataclass(frozen=True)
class Batch:
    """One batch. `course` holds while `status` is None; a status that is given stays."""

    id: str
    items: int
    created: datetime
    input_file: str
    endpoint: str = "/v1/chat/completions"
    status: str | None = None
    course: Course = Course()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def state(self, now: datetime) -> str:
        """Return its state at a moment."""
        if self.status is not None:
            return self.status
        went = (now - self.created).total_seconds()
        if went >= self.course.takes:
            return self.course.ends
        return "in_progress" if went >= self.course.starts else "validating"


class BatchProvider:
    """The provider. Safe to share between threads: its maps are only added to.

    Args:
        courses: what becomes of batches made from now on, one each; the last one stays.
    """

    def __init__(self, clock: Clock, courses: Sequence[Course] = ()) -> None:
        self.clock = clock
        self.courses = list(courses) or [Course()]
        self.batches: dict[str, Batch] = {}  # oldest first
        self.files: dict[str, Lines] = {}
        self.made: list[str] = []  # the batches that were made by a request
        self._uploads = 0

    # ------------------------------------------------------------ what there is

    def put(self, batch: Batch) -> Batch:
        """Add or replace a batch; its input, where no such file is there, is made of its items."""
        names = [f"item-{number}" for number in range(1, batch.items + 1)]
        self.files.setdefault(batch.input_file, lambda: (request_line(name) for name in names))
        self.batches[batch.id] = batch
        return batch

    def batch(self, identity: str) -> Batch:
        """Return a batch.

        Raises:
            NotThere: there is none.
        """
        if identity not in self.batches:
            raise NotThere(f"No batch found with id '{identity}'.")
        return self.batches[identity]

    def lines(self, file: str) -> Iterator[str]:
        """Yield a file's lines.

        Raises:
            NotThere: there is none, or its batch has not ended.
        """
        if file in self.files:
            return iter(self.files[file]())
        kind, identity = file[: len(_ERRORS)], file[len(_ERRORS) :]
        batch = self.batches.get(identity) if kind in (_ERRORS, _OUTPUT) else None
        if batch is None or batch.state(self.clock.now()) not in ENDED:
            raise NotThere(f"No such File object: {file}")
        return self._results(batch, failed=kind == _ERRORS)

    def _results(self, batch: Batch, *, failed: bool) -> Iterator[str]:
        ran = batch.state(self.clock.now()) != "failed"  # a batch that is refused runs nothing
        for line in self.lines(batch.input_file) if ran else ():
            name = str(json.loads(line)["custom_id"])
            failure = batch.course.failures.get(name)
            if (failure is not None) == failed:
                yield result_line(name, failure)

    # ------------------------------------------------------------ requests

    def upload(self, content: bytes) -> JsonObject:
        """Keep an uploaded file and describe it."""
        self._uploads += 1
        name = f"file-up{self._uploads}"
        self.files[name] = content.decode().splitlines
        return {"id": name, "object": "file", "purpose": "batch", "bytes": len(content)}

    def create(self, asked: JsonObject) -> JsonObject:
        """Make a batch of a file that was uploaded.

        Raises:
            NotThere: there is no such file.
        """
        items = sum(bool(line.strip()) for line in self.lines(asked["input_file_id"]))
        course = self.courses.pop(0) if len(self.courses) > 1 else self.courses[0]
        identity = f"batch_made{len(self.made) + 1}"
        batch = Batch(
            identity,
            items,
            self.clock.now(),
            asked["input_file_id"],
            endpoint=asked["endpoint"],
            course=course,
            metadata=asked.get("metadata") or {},
        )
        self.batches[identity] = batch
        self.made.append(identity)
        return self.shown(batch)

    def cancel(self, identity: str) -> JsonObject:
        """Cancel a batch that has not ended.

        Raises:
            NotThere: there is none. ValueError: it has ended.
        """
        batch = self.batch(identity)
        state = batch.state(self.clock.now())
        if state in ENDED:
            raise ValueError(f"Cannot cancel a batch with status '{state}'.")
        return self.shown(self.put(replace(batch, status="cancelled")))

    def page(self, limit: int, after: str | None) -> JsonObject:
        """Return batches, latest first.

        Raises:
            NotThere: there is no batch `after`.
        """
        latest = sorted(self.batches.values(), key=lambda one: one.created)[::-1]
        names = [one.id for one in latest]
        start = names.index(self.batch(after).id) + 1 if after else 0
        shown = latest[start : start + limit]
        return {
            "object": "list",
            "data": [self.shown(one) for one in shown],
            "has_more": start + limit < len(latest),
        }

    def shown(self, batch: Batch) -> JsonObject:
        """Return a batch as the API describes it."""
        now = self.clock.now()
        state = batch.state(now)
        created = int(batch.created.timestamp())
        failed = min(len(batch.course.failures), batch.items) if state in ENDED else 0
        ran = state in ("completed", "expired")
        end = int(min(now, batch.created + timedelta(seconds=batch.course.takes)).timestamp())
        described: dict[str, Any] = {
            "id": batch.id,
            "object": "batch",
            "status": state,
            "created_at": created,
            "expires_at": created + 24 * 3600,
            "endpoint": batch.endpoint,
            "completion_window": "24h",
            "input_file_id": batch.input_file,
            "output_file_id": f"{_OUTPUT}{batch.id}" if ran else None,
            "error_file_id": f"{_ERRORS}{batch.id}" if ran and failed else None,
            "metadata": dict(batch.metadata) or None,
            "request_counts": {
                "total": batch.items,
                "completed": batch.items - failed if ran else 0,
                "failed": failed if ran else 0,
            },
            "errors": {"object": "list", "data": list(batch.course.errors)}
            if batch.course.errors and state == "failed"
            else None,
        }
        return described | ({f"{state}_at": end} if state in ENDED else {})


def request_line(name: str) -> str:
    """Return an item of an input file."""
    body = {"model": "gpt-4o-mini-2024-07-18", "messages": [{"role": "user", "content": name}]}
    request = {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(request)


def result_line(name: str, failure: Failure | None) -> str:
    """Return an item of an output or error file."""
    if failure is None:
        said = [{"message": {"role": "assistant", "content": f"extracted from {name}"}}]
        response: JsonObject = {"status_code": 200, "body": {"choices": said}}
    else:
        error = {"code": failure.code, "message": failure.message}
        response = {"status_code": failure.status, "body": {"error": error}}
    return json.dumps({"id": f"req_{name}", "custom_id": name, "response": response, "error": None})
