"""celery.workers: who works, on what, and on which queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from actions.celery import byhand
from actions.celery.connection import WORKERS, CeleryClient, asks
from engine.contract import ActionParams, Grant, Read, Target, World
from engine.domain.canonical import Json

_SHOWN = 100  # tasks in work that are named


class WorkersParams(ActionParams):
    """Parameters of a question to the workers."""

    connection: str = Field(description="A celery connection", examples=["celery"])
    expected: list[str] = Field(
        [],
        description="Workers by name that should answer",
        examples=[["high@node-1", "normal@node-1"]],
    )


class CeleryWorkers(Read[WorkersParams]):
    """Asks every worker, by Celery's own control messages.

    Output: `workers` by name, each with `queues`, `processes`, `active` (tasks in work), `reserved` and
    `scheduled` (fetched and not begun); `count`; `silent` (known to the broker, and no answer: dead, or too
    busy); `missing` (expected, and no answer); `queues` by name, each with the workers that consume it;
    `tasks` in work, at most 100, each with `id`, `name`, `worker`, `started` (seconds of the epoch). A worker
    whose pool is its main thread (`solo`) does not answer while it works.
    """

    name = "celery.workers"
    manual = byhand.workers
    summary = "Ask Celery's workers who they are and what they do"
    Params = WorkersParams

    def targets(self, params: WorkersParams) -> Sequence[Target]:
        return (Target(params.connection, WORKERS),)

    def grants(self, params: WorkersParams) -> Sequence[Grant]:
        return (asks(params.connection),)

    def read(self, params: WorkersParams, world: World) -> Json:
        client = world.client(params.connection, CeleryClient)
        bound, names = client.bound(), sorted(client.ask("ping"))
        queues, stats = client.ask("active_queues", names), client.ask("stats", names)
        work = {kind: client.ask(kind, names) for kind in ("active", "reserved", "scheduled")}
        workers: dict[str, Any] = {}
        for name in names:
            pool = (stats.get(name) or {}).get("pool") or {}
            workers[name] = {
                "queues": sorted(queue["name"] for queue in queues.get(name) or ()),
                "processes": pool.get("max-concurrency"),
                **{kind: len(found.get(name) or ()) for kind, found in work.items()},
            }
        served = sorted({queue for one in workers.values() for queue in one["queues"]})
        return {
            "workers": workers,
            "count": len(workers),
            "silent": sorted(set(bound) - set(workers)),
            "missing": sorted(set(params.expected) - set(workers)),
            "queues": {
                queue: [name for name, one in workers.items() if queue in one["queues"]]
                for queue in served
            },
            "tasks": _tasks(work["active"]),
        }


def _tasks(active: dict[str, Any]) -> list[dict[str, Any]]:
    found = [
        {
            "id": task["id"],
            "name": task["name"],
            "worker": worker,
            "started": task.get("time_start"),
        }
        for worker, tasks in sorted(active.items())
        for task in tasks or ()
    ]
    return found[:_SHOWN]
