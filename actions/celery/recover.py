"""celery.recover: the failed tasks of a batch are sent again, each once for each of its failures."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from actions.celery import byhand
from actions.celery.connection import RESULTS, CeleryClient
from actions.celery.results import (
    FailedFilter,
    FailedTask,
    find,
    mark_of,
    marked,
    result_rights,
)
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

# One script, all or nothing. KEYS: token, probe, list, marks…; ARGV: seconds, messages… As with redis.requeue
# Redis rolls nothing back, so what may refuse a command is tried first, on a key that holds nothing.
_SEND = """
if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('LRANGE', KEYS[1], 0, -1) end
for i = 4, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then return 'SENT' end
end
redis.call('LRANGE', KEYS[3], 0, 0)
redis.call('SET', KEYS[2], 'x', 'EX', ARGV[1])
redis.call('DEL', KEYS[2])
redis.call('LPUSH', KEYS[2], 'x')
redis.call('RPUSH', KEYS[2], 'x')
redis.call('EXPIRE', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[2])
for i = 2, #ARGV do
  redis.call('LPUSH', KEYS[3], ARGV[i])
  redis.call('RPUSH', KEYS[1], ARGV[i])
  redis.call('SET', KEYS[i + 2], '1', 'EX', ARGV[1])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return redis.call('LRANGE', KEYS[1], 0, -1)
"""
# The way back, while no worker has taken any of them. KEYS: token of the undo, list, marks…
_BACK = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 'DONE' end
for i = 2, #ARGV do
  if not redis.call('LPOS', KEYS[2], ARGV[i]) then return 'TAKEN' end
end
redis.call('LREM', KEYS[1], 0, 'x')
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
for i = 2, #ARGV do redis.call('LREM', KEYS[2], 1, ARGV[i]) end
for i = 3, #KEYS do redis.call('DEL', KEYS[i]) end
return 'DONE'
"""
_COMMANDS = (
    *("EVAL", "EXISTS", "LRANGE", "SET", "DEL", "LPUSH", "RPUSH", "EXPIRE", "LPOS", "LREM"),
)


class RecoverParams(FailedFilter):
    """Parameters of a recovery."""

    queue: str = Field(
        description="The queue they go to; tasks that failed in another one are left out unless `any_queue`",
        examples=["batch.high"],
        min_length=1,
    )
    any_queue: bool = Field(
        False, description="Also tasks that came from other queues", examples=[True]
    )
    priority: int = Field(
        0, ge=0, le=9, description="Celery's priority of the messages", examples=[0]
    )


class CeleryRecover(Change[RecoverParams]):
    """Sends failed tasks again under their own ids, all that the plan names or none.

    A failure is answered once, whoever asks and however often: a mark beside the token remembers the task
    and the result that it answers, and a task counts as failed again only with a new result. What succeeded is
    never sent. Undo takes the messages out while no worker has taken any. A chord's end is not called again
    by a recovered part. What remains: a result that changes between the last look and the sending, some
    milliseconds, is not noticed.
    """

    name = "celery.recover"
    manual = byhand.recover
    summary = "Send the failed tasks of a batch again, and nothing else of it"
    Params = RecoverParams
    protection = Protection.TOKEN
    risk = "medium"

    def targets(self, params: RecoverParams) -> Sequence[Target]:
        return (Target(params.connection, params.queue), Target(params.connection, RESULTS))

    def locks(self, params: RecoverParams) -> Sequence[Target]:
        return self.targets(params)

    def grants(self, params: RecoverParams) -> Sequence[Grant]:
        keys = [params.queue, f"{params.queue}*", "stanch:token:*"]
        return (*result_rights(params), right(params.connection, _COMMANDS, keys[1:]))

    def plan(self, params: RecoverParams, world: World) -> Planned:
        client = world.client(params.connection, CeleryClient)
        target = Target(params.connection, params.queue)
        if any(_may_touch(one, params) for one in world.earlier if one.action == self.name):
            raise Unplannable("an earlier step sends failed tasks again; look again in a later run")
        found = find(client, params)
        marks = marked(client, found.tasks)
        fresh = [task for task, mark in zip(found.tasks, marks, strict=True) if not mark]
        mine = [task for task in fresh if params.any_queue or task.queue in (None, params.queue)]
        able = [task for task in mine if task.call is not None]
        notes = [
            f"{number} {what}"
            for number, what in (
                (len(found.tasks) - len(fresh), "were sent again before and have no newer result"),
                (len(fresh) - len(mine), "came from other queues"),
                (len(mine) - len(able), "cannot be sent: the result keeps no name or arguments"),
                (found.more, "more are beyond the limit"),
            )
            if number
        ]
        if able:
            notes.append("a worker that takes one of them ends the way back")
        count = len(able)
        return Planned(
            action=self.name,
            target=target,
            before={"sent": 0},
            after={"sent": count},
            counts={"messages": count} if count else {},
            request={
                "list": client.settings.list_of(params.queue, params.priority),
                "queue": params.queue,
                "priority": params.priority,
                "tasks": [[task.id, task.digest] for task in able],
            },
            summary=f"{count} failed tasks go to {params.queue} again",
            sample=tuple(f"{task.id} {task.name}: {task.error}" for task in able[:5]),
            notes=tuple(notes),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        client = world.client(planned.target.connection, CeleryClient)
        request = planned.request
        if not request["tasks"]:
            return _receipt(planned, [])
        done = client.call("LRANGE", client.token(key), 0, -1)
        if done:
            return _receipt(planned, done)
        messages, marks = self._messages(client, planned, key)
        token = client.token(key)
        keys = (token, f"{token}:probe", request["list"], *marks)
        seconds = int(client.settings.keep_tokens)
        answer: Any = client.call("EVAL", _SEND, len(keys), *keys, seconds, *messages)
        if isinstance(answer, bytes):
            what = (
                f"{request['queue']}: a task of the plan was sent again meanwhile; nothing was sent"
            )
            raise client.failure(Category.DATA, what)
        return _receipt(planned, answer)

    def _messages(
        self, client: CeleryClient, planned: Planned, key: str
    ) -> tuple[list[bytes], list[str]]:
        """Build the messages out of the results as they are now.

        Raises:
            ActionFailed: (data) a task has another result than the plan saw.
        """
        wanted: dict[str, str] = dict(planned.request["tasks"])
        look = FailedFilter(
            connection=planned.target.connection, ids=list(wanted), limit=max(1, len(wanted))
        )
        tasks = {task.id: task for task in find(client, look).tasks}
        for task_id, digest in wanted.items():
            task = tasks.get(task_id)
            if task is None or task.digest != digest or task.call is None:
                what = f"task {task_id} has another result than the plan saw; nothing was sent"
                raise client.failure(Category.DATA, what)
        chosen = [tasks[task_id] for task_id in wanted]
        request = planned.request
        messages = [
            message_of(client.app, task, request["queue"], request["priority"], key)
            for task in chosen
        ]
        return messages, [mark_of(client, task) for task in chosen]

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        client = world.client(planned.target.connection, CeleryClient)
        sent = client.call("LRANGE", client.token(key), 0, -1)
        if not sent and planned.request["tasks"]:
            return NotApplied()
        return Applied(receipt or _receipt(planned, sent))

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        client = world.client(planned.target.connection, CeleryClient)
        request = planned.request
        image: Any = receipt.before_image
        messages = [base64.b64decode(one) for one in image["messages"]]
        if not messages:
            return Receipt(dict(planned.before))
        marks = [client.token(f"sent:{one}:{digest}") for one, digest in request["tasks"]]
        keys = (client.token(key), request["list"], *marks)
        seconds = int(client.settings.keep_tokens)
        if client.call("EVAL", _BACK, len(keys), *keys, seconds, *messages) == b"TAKEN":
            what = f"{request['queue']}: a worker has taken a task since; nothing was taken back"
            raise client.failure(Category.DATA, what)
        return Receipt(dict(planned.before), dict(planned.counts))


def _may_touch(earlier: Planned, params: RecoverParams) -> bool:
    """Whether an earlier recovery of this run may send a task that this one is about to look for."""
    sent = {task for task, _ in earlier.request["tasks"]}
    return not params.ids or not sent.isdisjoint(params.ids)


def message_of(app: Any, task: FailedTask, queue: str, priority: int, key: str) -> bytes:
    """Return a task's message as Celery's Redis transport lays it into a list (protocol 2 of its messages).

    It names the task's group, so that its next result, good or bad, is again one of the batch.
    """
    assert task.call is not None
    args, kwargs = task.call
    made = app.amqp.as_task_v2(
        task.id, task.name, args, kwargs, group_id=task.group, origin="stanch"
    )
    tag = str(uuid.uuid5(uuid.NAMESPACE_URL, f"stanch:{key}:{task.id}"))
    body = base64.b64encode(json.dumps(made.body).encode()).decode()
    message = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": made.headers,
        "properties": {
            **made.properties,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": priority,
            "body_encoding": "base64",
            "delivery_tag": tag,
        },
    }
    return json.dumps(message).encode()


def _receipt(planned: Planned, messages: Sequence[bytes]) -> Receipt:
    image = {"messages": [base64.b64encode(one).decode() for one in messages]}
    ids = [task_id for task_id, _ in planned.request["tasks"]]
    output = {"sent": len(messages), "ids": ids}
    return Receipt(dict(planned.after), dict(planned.counts), image, output)
