"""redis.requeue: messages of a list of failed ones go back to their queue, once."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from pydantic import Field, model_validator

from actions.redis import byhand
from actions.redis.connection import RedisClient, right
from engine.contract import (
    ActionParams,
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
from engine.domain.canonical import JsonObject

# One script, so that nothing comes between: KEYS from, to, token, probe; ARGV seconds, side, digests.
# The token is a list of the moved messages, byte for byte. Nothing moves unless all are there. Redis does
# not roll a script back, so whatever may refuse a command (rights, another type) is tried before, on a key
# that holds nothing.
_MOVE = """
if redis.call('EXISTS', KEYS[3]) == 1 then return redis.call('LRANGE', KEYS[3], 0, -1) end
local there = {}
for _, item in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local name = redis.sha1hex(item)
  there[name] = there[name] or {item, 0}
  there[name][2] = there[name][2] + 1
end
for i = 3, #ARGV do
  local one = there[ARGV[i]]
  if not one or one[2] == 0 then return 'MISSING' end
  one[2] = one[2] - 1
end
redis.call('LRANGE', KEYS[2], 0, 0)
redis.call('LREM', KEYS[4], 0, 'x')
redis.call('LPUSH', KEYS[4], 'x')
redis.call('EXPIRE', KEYS[4], ARGV[1])
redis.call('RPUSH', KEYS[4], 'x')
redis.call('LREM', KEYS[4], 0, 'x')
for i = 3, #ARGV do
  local item = there[ARGV[i]][1]
  redis.call('LREM', KEYS[1], 1, item)
  redis.call('RPUSH', KEYS[3], item)
end
local moved = redis.call('LRANGE', KEYS[3], 0, -1)
for i = 1, #moved do
  local place = i
  if ARGV[2] == 'back' then place = #moved + 1 - i end
  redis.call('LPUSH', KEYS[2], moved[place])
end
redis.call('EXPIRE', KEYS[3], ARGV[1])
return moved
"""
_COMMANDS = ("EVAL", "EXISTS", "LRANGE", "LREM", "RPUSH", "LPUSH", "EXPIRE")


class RequeueParams(ActionParams):
    """Parameters of a requeue."""

    connection: str = Field(description="A redis connection", examples=["broker"])
    source: str = Field(
        description="The list of failed messages", examples=["dead:celery"], min_length=1
    )
    queue: str = Field(description="The queue they go to", examples=["celery"], min_length=1)
    limit: int = Field(
        100, ge=1, le=1000, description="Most messages, from the list's head", examples=[50]
    )

    @model_validator(mode="after")
    def _two_lists(self) -> RequeueParams:
        if self.source == self.queue:
            raise ValueError("source and queue are the same list")
        return self


class RedisRequeue(Change[RequeueParams]):
    """Moves the messages that the plan saw, all or none, to the end of a queue.

    Undo moves them back while no worker has taken any of them.
    """

    name = "redis.requeue"
    manual = byhand.requeue
    summary = "Put failed messages back into their queue"
    Params = RequeueParams
    protection = Protection.TOKEN
    risk = "medium"

    def targets(self, params: RequeueParams) -> Sequence[Target]:
        return (Target(params.connection, params.source), Target(params.connection, params.queue))

    def grants(self, params: RequeueParams) -> Sequence[Grant]:
        keys = [params.source, params.queue, "stanch:token:*"]
        return (right(params.connection, _COMMANDS, keys),)

    def plan(self, params: RequeueParams, world: World) -> Planned:
        client = world.client(params.connection, RedisClient)
        source = Target(params.connection, params.source)
        if any(source in (one.target, _place(one)) for one in world.earlier):
            raise Unplannable(f"{params.source} is moved by an earlier step; do it in a later run")
        found = client.call("LRANGE", params.source, 0, params.limit - 1)
        count, names = len(found), [hashlib.sha1(item).hexdigest() for item in found]  # noqa: S324
        return Planned(
            action=self.name,
            target=source,
            before={"requeued": 0},
            after={"requeued": count},
            counts={"messages": count} if count else {},
            request={"source": params.source, "queue": params.queue, "digests": names},
            summary=f"{count} messages from {params.source} to {params.queue}",
            notes=("a worker that takes one of them ends the way back",) if count else (),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        client = world.client(planned.target.connection, RedisClient)
        request = planned.request
        if not request["digests"]:
            return _receipt(planned, [])
        moved = _moved(client, request["source"], request["queue"], key, request["digests"], "end")
        if moved is None:
            what = (
                f"{request['source']}: a message of the plan is no longer there; nothing was moved"
            )
            raise client.failure(Category.DATA, what)
        return _receipt(planned, moved)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        client = world.client(planned.target.connection, RedisClient)
        moved = client.call("LRANGE", client.token(key), 0, -1)
        if not moved and planned.request["digests"]:
            return NotApplied()
        return Applied(receipt or _receipt(planned, moved))

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        del receipt  # the messages are named by the plan's digests, and lie in the queue
        client = world.client(planned.target.connection, RedisClient)
        request = planned.request
        if not request["digests"]:
            return Receipt(dict(planned.before))
        moved = _moved(client, request["queue"], request["source"], key, request["digests"], "back")
        if moved is None:
            what = f"{request['queue']}: a worker has taken a message since; nothing was moved back"
            raise client.failure(Category.DATA, what)
        return Receipt(dict(planned.before), dict(planned.counts))


def _place(planned: Planned) -> Target:
    return Target(planned.target.connection, str(planned.request.get("queue")))


def _moved(
    client: RedisClient, source: str, to: str, key: str, digests: Sequence[str], side: str
) -> list[bytes] | None:
    """Move them in one script and return them; None where one is missing. Once a key."""
    seconds = int(client.settings.keep_tokens)
    token = client.token(key)
    keys = (source, to, token, f"{token}:probe")
    answer: Any = client.call("EVAL", _MOVE, 4, *keys, seconds, side, *digests)
    return None if isinstance(answer, bytes) else list(answer)


def _receipt(planned: Planned, moved: Sequence[bytes]) -> Receipt:
    image: JsonObject = {"messages": [base64.b64encode(item).decode() for item in moved]}
    output: JsonObject = {"requeued": len(moved)}
    return Receipt(dict(planned.after), dict(planned.counts), image, output)
