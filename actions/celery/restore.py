"""celery.restore: messages that dead workers have not acknowledged go back to the head of their queue."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from actions.celery import byhand
from actions.celery.connection import UNACKED, CeleryClient, asks
from actions.celery.unacked import HASH, INDEX, UnackedParams, orphans
from actions.redis.connection import right
from engine.contract import (
    Applied,
    Category,
    Change,
    Confirmation,
    Grant,
    NotApplied,
    Planned,
    Protection,
    Receipt,
    Target,
    Unplannable,
    World,
)

# One script, all or nothing. KEYS: token, probe, unacked, index, lists…; ARGV: seconds, then for each message its
# tag, the digest of its entry, the restored message. The token keeps tag, score and entry of each.
_RESTORE = """
if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('LRANGE', KEYS[1], 0, -1) end
for i = 5, #KEYS do
  local at = 2 + (i - 5) * 3
  local raw = redis.call('HGET', KEYS[3], ARGV[at])
  if not raw or redis.sha1hex(raw) ~= ARGV[at + 1] then return 'GONE' end
  redis.call('LRANGE', KEYS[i], 0, 0)
end
redis.call('RPUSH', KEYS[2], 'x')
redis.call('EXPIRE', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[2])
redis.call('HDEL', KEYS[2], 'x')
redis.call('ZREM', KEYS[2], 'x')
for i = 5, #KEYS do
  local at = 2 + (i - 5) * 3
  local score = redis.call('ZSCORE', KEYS[4], ARGV[at]) or '0'
  local raw = redis.call('HGET', KEYS[3], ARGV[at])
  redis.call('RPUSH', KEYS[i], ARGV[at + 2])
  redis.call('HDEL', KEYS[3], ARGV[at])
  redis.call('ZREM', KEYS[4], ARGV[at])
  redis.call('RPUSH', KEYS[1], ARGV[at], score, raw)
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return redis.call('LRANGE', KEYS[1], 0, -1)
"""
# The way back, while no worker has taken any of them. KEYS: token, unacked, index, lists…; ARGV: seconds, then for
# each its tag, score, entry, restored message.
_BACK = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 'DONE' end
for i = 4, #KEYS do
  if not redis.call('LPOS', KEYS[i], ARGV[5 + (i - 4) * 4]) then return 'TAKEN' end
end
redis.call('LREM', KEYS[1], 0, 'x')
redis.call('HSET', KEYS[1], 'x', 'x')
redis.call('DEL', KEYS[1])
redis.call('ZADD', KEYS[1], 0, 'x')
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
for i = 4, #KEYS do
  local at = 2 + (i - 4) * 4
  redis.call('LREM', KEYS[i], -1, ARGV[at + 3])
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 2])
  redis.call('ZADD', KEYS[3], ARGV[at + 1], ARGV[at])
end
return 'DONE'
"""
_COMMANDS = (
    *("EVAL", "EXISTS", "LRANGE", "HGET", "RPUSH", "EXPIRE", "DEL", "HDEL", "ZREM", "ZSCORE"),
    *("LPOS", "SET", "LREM", "HSET", "ZADD"),
)


class RestoreParams(UnackedParams):
    """Parameters of a restoration."""

    queue: str = Field(
        description="The queue that they came from", examples=["batch.high"], min_length=1
    )


class CeleryRestore(Change[RestoreParams]):
    """Puts back what dead workers held, as Celery itself does once its visibility timeout is over.

    A message counts as a dead worker's where no worker that answers holds it and it was delivered longer ago
    than `older_than`. All that the plan names are put back or none, each marked as delivered again; a task
    that is not idempotent may then be done twice in part, as after every worker's death. Undo takes them
    out while no worker has taken any.
    """

    name = "celery.restore"
    manual = byhand.restore
    summary = "Put messages of dead workers back into their queue"
    Params = RestoreParams
    protection = Protection.TOKEN
    risk = "medium"

    def targets(self, params: RestoreParams) -> Sequence[Target]:
        return (Target(params.connection, params.queue), Target(params.connection, UNACKED))

    def grants(self, params: RestoreParams) -> Sequence[Grant]:
        keys = [HASH, INDEX, f"{params.queue}*", "stanch:token:*"]
        return (
            asks(params.connection),
            right(params.connection, ["ZRANGE", "HMGET", *_COMMANDS], keys),
        )

    def plan(self, params: RestoreParams, world: World) -> Planned:
        client = world.client(params.connection, CeleryClient)
        if any(one.action == self.name for one in world.earlier):
            raise Unplannable("an earlier step puts messages back; look again in a later run")
        found = orphans(client, params, world.clock.now().timestamp())
        mine = [one for one in found.orphans if one.queue == params.queue][: params.limit]
        count = len(mine)
        return Planned(
            action=self.name,
            target=Target(params.connection, params.queue),
            before={"restored": 0},
            after={"restored": count},
            counts={"messages": count} if count else {},
            request={
                "tags": [one.tag for one in mine],
                "digests": [one.digest for one in mine],
                "lists": [client.settings.list_of(params.queue, one.priority) for one in mine],
                "messages": [base64.b64encode(one.restored()).decode() for one in mine],
            },
            summary=f"{count} messages of dead workers go back to {params.queue}",
            sample=tuple(f"{one.task} {one.name}" for one in mine[:5]),
            notes=("a task that its worker had half done is begun anew",) if count else (),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        client = world.client(planned.target.connection, CeleryClient)
        request = planned.request
        if not request["tags"]:
            return _receipt(planned, [])
        token = client.token(key)
        keys = (token, f"{token}:probe", HASH, INDEX, *request["lists"])
        parts: list[Any] = [int(client.settings.keep_tokens)]
        for tag, digest, text in zip(
            request["tags"], request["digests"], request["messages"], strict=True
        ):
            parts += [tag, digest, base64.b64decode(text)]
        answer: Any = client.call("EVAL", _RESTORE, len(keys), *keys, *parts)
        if isinstance(answer, bytes):
            what = "a message of the plan was acknowledged or put back since; nothing was moved"
            raise client.failure(Category.DATA, what)
        return _receipt(planned, answer)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        client = world.client(planned.target.connection, CeleryClient)
        kept = client.call("LRANGE", client.token(key), 0, -1)
        if not kept and planned.request["tags"]:
            return NotApplied()
        return Applied(receipt or _receipt(planned, kept))

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        client = world.client(planned.target.connection, CeleryClient)
        request, image = planned.request, receipt.before_image
        assert isinstance(image, dict)
        if not request["tags"]:
            return Receipt(dict(planned.before))
        keys = (client.token(key), HASH, INDEX, *request["lists"])
        parts: list[Any] = [int(client.settings.keep_tokens)]
        for entry, text in zip(json.loads(image["entries"]), request["messages"], strict=True):
            tag, score, raw = entry
            parts += [tag, score, base64.b64decode(raw), base64.b64decode(text)]
        if client.call("EVAL", _BACK, len(keys), *keys, *parts) == b"TAKEN":
            what = (
                f"{planned.target.path}: a worker has taken a message since; nothing was moved back"
            )
            raise client.failure(Category.DATA, what)
        return Receipt(dict(planned.before), dict(planned.counts))


def _receipt(planned: Planned, kept: Sequence[bytes]) -> Receipt:
    entries = [
        [tag.decode(), score.decode(), base64.b64encode(raw).decode()]
        for tag, score, raw in zip(kept[0::3], kept[1::3], kept[2::3], strict=True)
    ]
    image = {"entries": json.dumps(entries)}
    output = {"restored": len(entries)}
    return Receipt(dict(planned.after), dict(planned.counts), image, output)
