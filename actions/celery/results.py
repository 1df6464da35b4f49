"""celery.failed: the failed tasks that the result backend knows, and how to look them up."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from actions.celery import byhand
from actions.celery.connection import RESULTS, CeleryClient
from actions.redis.connection import right
from engine.contract import ActionParams, Grant, Read, Target, World
from engine.domain.canonical import Json

_PAGE = 500
_TEXT = 500  # characters of an error that are shown


class FailedFilter(ActionParams):
    """Which failed tasks are meant; every condition that is given must hold."""

    connection: str = Field(description="A celery connection", examples=["celery"])
    group: str | None = Field(
        None,
        description="The batch: Celery's id of the group",
        examples=["6f1c8a52-0000-4000-8000-1"],
    )
    ids: list[str] = Field([], description="Tasks by id", examples=[["6f1c8a52-0000-4000-8000-2"]])
    names: list[str] = Field(
        [], description="Names of tasks", examples=[["documents.parse", "documents.embed"]]
    )
    errors: list[str] = Field(
        [], description="Types of exceptions", examples=[["ConnectionError", "TimeoutError"]]
    )
    limit: int = Field(
        100, ge=1, le=1000, description="Most tasks, the oldest first", examples=[50]
    )
    scan: int = Field(
        100_000, ge=1, le=5_000_000, description="Most results looked at", examples=[100_000]
    )


@dataclass(frozen=True)
class FailedTask:
    """A failed task as its result tells it.

    Attributes:
        digest: of the result as it is stored: another failure of the task is another one.
        call: name, arguments and queue; None where the backend keeps no `result_extended`.
    """

    id: str
    digest: str
    error: str
    message: str
    at: str
    group: str | None
    name: str | None
    queue: str | None
    call: tuple[list[Any], dict[str, Any]] | None

    def shown(self, *, sent: bool) -> dict[str, Any]:
        """Return it for people: never its arguments, which may be anybody's data."""
        return {
            "id": self.id,
            "name": self.name,
            "queue": self.queue,
            "group": self.group,
            "error": self.error,
            "message": self.message[:_TEXT],
            "at": self.at,
            "resendable": self.call is not None,
            "sent_again": sent,
        }


@dataclass(frozen=True)
class Found:
    """Failed tasks, oldest first. `more`: how many there are beyond the limit; `scanned`: results seen;
    `states`: how many results of the batch are in each state, whatever the other conditions."""

    tasks: Sequence[FailedTask]
    states: Mapping[str, int]
    more: int
    scanned: int
    whole: bool


class CeleryFailed(Read[FailedFilter]):
    """Reads failed tasks out of the result backend.

    Output: `tasks` (`id, name, queue, group, error, message, at, resendable, sent_again`; never their
    arguments), `count`, `by_error`, `messages` (one example an error), `states` (results of the batch by
    state, whatever else is asked for), `more` (beyond the limit), `scanned`, and `whole`: whether all results
    were seen. A task is `resendable` where the backend keeps its name and arguments (`result_extended`).
    """

    name = "celery.failed"
    manual = byhand.failed
    summary = "Read the failed tasks of a batch from Celery's result backend"
    Params = FailedFilter

    def targets(self, params: FailedFilter) -> Sequence[Target]:
        return (Target(params.connection, RESULTS),)

    def grants(self, params: FailedFilter) -> Sequence[Grant]:
        return result_rights(params)

    def read(self, params: FailedFilter, world: World) -> Json:
        client = world.client(params.connection, CeleryClient)
        found = find(client, params)
        marks = marked(client, found.tasks)
        return {
            "tasks": [task.shown(sent=mark) for task, mark in zip(found.tasks, marks, strict=True)],
            "count": len(found.tasks),
            "by_error": dict(sorted(Counter(task.error for task in found.tasks).items())),
            "messages": {
                task.error: f"{task.error}: {task.message[:_TEXT]}" for task in found.tasks
            },
            "states": dict(sorted(found.states.items())),
            "more": found.more,
            "scanned": found.scanned,
            "whole": found.whole,
        }


def result_rights(params: FailedFilter) -> tuple[Grant, ...]:
    """Return the rights to read results, and the marks of what was sent again."""
    keys = ["celery-task-meta-*", "stanch:token:*"]
    commands = ["MGET"] if params.ids else ["SCAN", "MGET"]
    return (right(params.connection, commands, keys),)


def find(client: CeleryClient, wanted: FailedFilter) -> Found:
    """Look failed tasks up."""
    prefix = client.settings.results_prefix
    tasks: list[FailedTask] = []
    states: Counter[str] = Counter()
    scanned, whole = 0, True
    for keys in _pages(client, prefix, wanted.ids):
        for key, raw in zip(keys, client.results.call("MGET", *keys), strict=True):
            meta = _meta(raw)
            if meta is None or wanted.group not in (None, meta.get("group_id")):
                continue
            states[str(meta.get("status"))] += 1
            if meta.get("status") == "FAILURE":
                task = _failed(key[len(prefix) :], raw, meta)
                tasks += [task] if _fits(task, wanted) else []
        scanned += len(keys)
        if scanned >= wanted.scan:
            whole = False
            break
    tasks.sort(key=lambda one: (one.at, one.id))
    more = max(0, len(tasks) - wanted.limit)
    return Found(tasks[: wanted.limit], states, more, scanned, whole)


def mark_of(client: CeleryClient, task: FailedTask) -> str:
    """Return the key that says: this failure of this task was answered by sending it again."""
    return client.token(f"sent:{task.id}:{task.digest}")


def marked(client: CeleryClient, tasks: Sequence[FailedTask]) -> list[bool]:
    """Tell which of them were sent again already and have no newer result."""
    if not tasks:
        return []
    return [one is not None for one in client.call("MGET", *(mark_of(client, t) for t in tasks))]


def _pages(client: CeleryClient, prefix: str, ids: Sequence[str]) -> Iterator[list[str]]:
    if ids:
        names = [prefix + one for one in dict.fromkeys(ids)]
        yield from (names[at : at + _PAGE] for at in range(0, len(names), _PAGE))
        return
    cursor: Any = b"0"
    pattern = "".join(f"\\{char}" if char in "*?[]\\" else char for char in prefix) + "*"
    while True:
        cursor, keys = client.results.call("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE)
        if keys:
            yield sorted({key.decode() for key in keys})
        if int(cursor) == 0:
            return


def _meta(raw: bytes | None) -> dict[str, Any] | None:
    """Read one result; None where there is none any more, or it is not JSON (another serializer)."""
    try:
        meta = json.loads(raw) if raw else None
    except ValueError:
        return None
    return meta if isinstance(meta, dict) else None


def _failed(task_id: str, raw: bytes, meta: Mapping[str, Any]) -> FailedTask:
    result = meta.get("result")
    error = result if isinstance(result, dict) else {}
    message = error.get("exc_message")
    told = " ".join(map(str, message)) if isinstance(message, list) else str(message or "")
    name, args, kwargs = meta.get("name"), meta.get("args"), meta.get("kwargs")
    call = None
    if isinstance(name, str) and isinstance(args, list) and isinstance(kwargs, dict):
        call = (args, kwargs)
    return FailedTask(
        id=task_id,
        digest=hashlib.sha256(raw).hexdigest()[:32],
        error=str(error.get("exc_type") or "unknown"),
        message=told,
        at=str(meta.get("date_done") or ""),
        group=meta.get("group_id"),
        name=name,
        queue=meta.get("queue"),
        call=call,
    )


def _fits(task: FailedTask, wanted: FailedFilter) -> bool:
    by_name = not wanted.names or task.name in wanted.names
    return by_name and (not wanted.errors or task.error in wanted.errors)
