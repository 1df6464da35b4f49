"""celery.queues: how much waits, by priority, as the connection's Celery divides its queues."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from actions.celery import byhand
from actions.celery.connection import CeleryClient
from actions.redis.connection import right
from actions.redis.queues import depths_of
from engine.contract import ActionParams, Grant, Read, Target, World
from engine.domain.canonical import Json


class CeleryQueuesParams(ActionParams):
    """Parameters of a look at queues."""

    connection: str = Field(description="A celery connection", examples=["celery"])
    queues: list[str] = Field(
        description="The queues, by name", examples=[["batch.high", "batch.low"]], min_length=1
    )


class CeleryQueues(Read[CeleryQueuesParams]):
    """The lengths of queues, by the connection's priority steps; Redis hands out the lowest step first.

    Output: `queues` by name, each with `depth` and `by_priority`; `depth` of all; `unacked` (handed to workers
    and not yet acknowledged).
    """

    name = "celery.queues"
    manual = byhand.queues
    summary = "Look at Celery's queue depths by priority"
    Params = CeleryQueuesParams

    def targets(self, params: CeleryQueuesParams) -> Sequence[Target]:
        return tuple(Target(params.connection, queue) for queue in params.queues)

    def grants(self, params: CeleryQueuesParams) -> Sequence[Grant]:
        return (
            right(params.connection, ["LLEN"], [f"{queue}*" for queue in params.queues]),
            right(params.connection, ["HLEN"], ["unacked"]),
        )

    def read(self, params: CeleryQueuesParams, world: World) -> Json:
        client = world.client(params.connection, CeleryClient)
        settings = client.settings
        output = depths_of(client, params.queues, settings.priorities, settings.separator)
        return {**output, "unacked": int(client.call("HLEN", "unacked"))}
