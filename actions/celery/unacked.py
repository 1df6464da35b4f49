"""celery.unacked: messages that were handed to workers, and which of them no living worker holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from actions.celery import byhand
from actions.celery.connection import UNACKED, CeleryClient, asks
from actions.redis.connection import right
from engine.contract import ActionParams, Category, Grant, Read, Target, World
from engine.contract.fields import Seconds
from engine.domain.canonical import Json

HASH, INDEX = "unacked", "unacked_index"


class UnackedParams(ActionParams):
    """Parameters of a look at messages in work."""

    connection: str = Field(description="A celery connection", examples=["celery"])
    older_than: Seconds = Field(
        3600.0,
        ge=0,
        description="Only messages delivered so long ago; Celery's own visibility timeout is an hour",
        examples=["15m"],
    )
    expected: list[str] = Field(
        [],
        description="Workers that must answer: a silent one may hold what looks lost",
        examples=[["high@node-1"]],
    )
    limit: int = Field(
        100, ge=1, le=1000, description="Most messages, the oldest first", examples=[50]
    )


@dataclass(frozen=True)
class Handed:
    """A message that was handed to a worker. `score`: when, in seconds of the epoch, as Redis keeps it."""

    tag: str
    score: str
    raw: bytes
    task: str | None
    name: str | None
    queue: str | None
    payload: Any

    @property
    def digest(self) -> str:
        return hashlib.sha1(self.raw).hexdigest()  # noqa: S324  compared in Redis, which has sha1hex alone

    @property
    def priority(self) -> int:
        found = (self.payload.get("properties") or {}).get("priority") if self.payload else 0
        return min(max(found, 0), 9) if isinstance(found, int) else 0

    def restored(self) -> bytes:
        """Return the message as Celery's own restore lays it back: marked as delivered again."""
        payload = json.loads(json.dumps(self.payload))
        payload.setdefault("headers", {})["redelivered"] = True
        payload.setdefault("properties", {}).setdefault("delivery_info", {})["redelivered"] = True
        return json.dumps(payload).encode()


class CeleryUnacked(Read[UnackedParams]):
    """Messages in work that no worker that answers holds: those of dead workers.

    Output: `orphans` (`tag, task, name, queue, delivered`, the oldest first), `count`, `held` (by workers that
    answer), `young` (delivered later than `older_than` ago), `unacked` of all, `workers` that answered,
    `silent` (known to the broker, and no answer).
    """

    name = "celery.unacked"
    manual = byhand.unacked
    summary = "Find messages that dead workers have not acknowledged"
    Params = UnackedParams

    def targets(self, params: UnackedParams) -> Sequence[Target]:
        return (Target(params.connection, UNACKED),)

    def grants(self, params: UnackedParams) -> Sequence[Grant]:
        return (
            asks(params.connection),
            right(params.connection, ["ZRANGE", "HMGET"], [HASH, INDEX]),
        )

    def read(self, params: UnackedParams, world: World) -> Json:
        client = world.client(params.connection, CeleryClient)
        found = orphans(client, params, world.clock.now().timestamp())
        shown = found.orphans[: params.limit]
        return {
            "orphans": [
                {
                    "tag": one.tag,
                    "task": one.task,
                    "name": one.name,
                    "queue": one.queue,
                    "delivered": float(one.score),
                }
                for one in shown
            ],
            "count": len(found.orphans),
            "held": found.held,
            "young": found.young,
            "unacked": len(found.orphans) + found.held + found.young,
            "workers": found.workers,
            "silent": found.silent,
        }


@dataclass(frozen=True)
class Orphans:
    """What a look found."""

    orphans: list[Handed]
    held: int
    young: int
    workers: list[str]
    silent: list[str]


def orphans(client: CeleryClient, params: UnackedParams, now: float) -> Orphans:
    """Tell the messages that no answering worker holds from those in work.

    Messages are read before the workers are asked: what a worker takes meanwhile is not among them.

    Raises:
        ActionFailed: (transient) an expected worker does not answer, so that nothing can be told.
    """
    handed = _handed(client)
    bound, workers = client.bound(), sorted(client.ask("ping"))
    missing = sorted(set(params.expected) - set(workers))
    if missing:
        what = f"{', '.join(missing)}: no answer, so what it holds cannot be told from what is lost"
        raise client.failure(Category.TRANSIENT, what)
    held: set[str] = set()
    for kind in ("active", "reserved", "scheduled"):
        answers = client.ask(kind, workers)
        if len(answers) < len(workers):
            lacking = ", ".join(sorted(set(workers) - set(answers)))
            raise client.failure(Category.TRANSIENT, f"{lacking}: no answer to {kind}; ask again")
        held |= {
            (task.get("request") or task)["id"] for found in answers.values() for task in found
        }
    mine = [one for one in handed if one.task in held]
    rest = [one for one in handed if one.task not in held]
    old = [one for one in rest if now - float(one.score) >= params.older_than]
    silent = sorted(set(bound) - set(workers))
    return Orphans(old, len(mine), len(rest) - len(old), workers, silent)


def _handed(client: CeleryClient) -> list[Handed]:
    pairs = client.call("ZRANGE", INDEX, 0, -1, "WITHSCORES")
    tags, scores = pairs[0::2], pairs[1::2]
    if not tags:
        return []
    values = client.call("HMGET", HASH, *tags)
    return [
        _read(tag.decode(), score, raw)
        for tag, score, raw in zip(tags, scores, values, strict=True)
        if raw is not None
    ]


def _read(tag: str, score: Any, raw: bytes) -> Handed:
    try:
        payload, exchange, key = json.loads(raw)
        headers = payload["headers"]
        # Celery's own queues have an exchange of their own name, or the default one, and route by their name.
        queue = key if exchange in ("", key) else None
        task, name = headers["id"], headers["task"]
    except (ValueError, KeyError, TypeError):
        payload, queue, task, name = None, None, None, None
    text = score.decode() if isinstance(score, bytes) else repr(score)
    return Handed(tag, text, raw, task, name, queue, payload)
