"""redis.queues: how much waits, by priority."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from actions.redis import byhand
from actions.redis.connection import RedisClient, right
from engine.contract import ActionParams, Grant, Read, Target, World
from engine.domain.canonical import Json

SEPARATOR = "\x06\x16"  # between a queue's name and its priority, as Celery writes it
UNACKED = "unacked"


class QueuesParams(ActionParams):
    """Parameters of a look at queues."""

    connection: str = Field(description="A redis connection", examples=["broker"])
    queues: list[str] = Field(
        description="The queues, by name", examples=[["celery", "backfill"]], min_length=1
    )
    priorities: list[int] = Field(
        [],
        description="Celery's priority steps; each but 0 is a list of its own. None: plain lists",
        examples=[[0, 3, 6, 9]],
    )
    separator: str = Field(
        SEPARATOR,
        description="What stands between a queue's name and a priority: Celery's `sep`",
        examples=[":"],
        min_length=1,
    )
    celery: bool = Field(
        False,
        description="Also count the messages in work; celery.workers asks the workers",
        examples=[True],
    )


class RedisQueues(Read[QueuesParams]):
    """The lengths of queues.

    Output: `queues` by name, each with `depth` and `by_priority`; `depth` of all; with `celery` also
    `unacked` (handed to workers and not yet acknowledged).
    """

    name = "redis.queues"
    manual = byhand.queues
    summary = "Look at queue depths by priority"
    Params = QueuesParams

    def targets(self, params: QueuesParams) -> Sequence[Target]:
        return tuple(Target(params.connection, queue) for queue in params.queues)

    def grants(self, params: QueuesParams) -> Sequence[Grant]:
        keys = [
            key
            for queue in params.queues
            for key in lists_of(queue, params.priorities, params.separator).values()
        ]
        found = [right(params.connection, ["LLEN"], keys)]
        if params.celery:
            found.append(right(params.connection, ["HLEN"], [UNACKED]))
        return found

    def read(self, params: QueuesParams, world: World) -> Json:
        client = world.client(params.connection, RedisClient)
        output = depths_of(client, params.queues, params.priorities, params.separator)
        if params.celery:
            output["unacked"] = int(client.call("HLEN", UNACKED))
        return output


def depths_of(
    client: RedisClient, names: Sequence[str], priorities: Sequence[int], separator: str
) -> dict[str, Any]:
    """Return `queues` with their depths by priority, and the `depth` of all."""
    queues: dict[str, Any] = {}
    for queue in names:
        lists = lists_of(queue, priorities, separator)
        depths = {str(priority): int(client.call("LLEN", key)) for priority, key in lists.items()}
        queues[queue] = {"depth": sum(depths.values()), "by_priority": depths}
    return {"queues": queues, "depth": sum(one["depth"] for one in queues.values())}


def lists_of(queue: str, priorities: Sequence[int], separator: str = SEPARATOR) -> dict[int, str]:
    """Return the lists that make up a queue, by priority; Celery's step 0 is the queue itself."""
    return {0: queue} | {
        step: f"{queue}{separator}{step}" for step in sorted(set(priorities)) if step
    }
