"""Celery's cases, over a real worker on a real Redis."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from actions.celery import (
    CeleryFailed,
    CeleryKind,
    CeleryPause,
    CeleryQueues,
    CeleryRecover,
    CeleryRestore,
    CeleryResume,
    CeleryUnacked,
    CeleryWorkers,
)
from engine.contract import Category
from engine.contract.testing import ChangeCase, Connections, Fault, ReadCase
from engine.contract.testing.recorder import Recorder
from worlds.servers import CeleryWorker, free_port

BROKER, RESULTS = 0, 1
PASSWORD = "p@ss w/rd+=%"
ALLOW = {"keys": ["batch.*"]}
QUEUE = "batch.failed"  # nobody consumes it
# Held by the worker for a moment now and then, while it looks for messages whose time is up.
MUTEX = b"unacked_mutex"
_ORDERS = {"cancel_consumer", "add_consumer"}
_WRITES = {"LPUSH", "RPUSH", "HSET", "HDEL", "SET", "LREM"}


def connections(port: int, **settings: Any) -> Connections:
    raw: Mapping[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "timeout": 3,
        "database": BROKER,
        "results": RESULTS,
        "separator": ":",
        "priorities": list(range(10)),
        "reply_within": 30,  # all answer: nothing waits so long
        "allow": ALLOW,
    }
    return Connections({"celery": (CeleryKind(), {**raw, **settings})}, {"PASSWORD": PASSWORD})


@dataclass
class Shop:
    """A worker, its broker, its results, and a recorded way to them."""

    worker: CeleryWorker
    broker: Any
    results: Any
    recorder: Recorder

    def state(self) -> Any:
        """Queues, results and messages in work, tokens left out; and what the worker consumes."""
        return self.kept(), self.consumed()

    def kept(self) -> Any:
        found: dict[bytes, Any] = {}
        for key in sorted(self.broker.scan_iter()):
            if key.startswith((b"stanch:", b"_kombu.", MUTEX)) or b".reply." in key:
                continue
            found[key] = self._value(key)
        return found, {key: self.results.get(key) for key in sorted(self.results.scan_iter())}

    def _value(self, key: bytes) -> Any:
        kind = self.broker.type(key)
        if kind == b"list":
            return self.broker.lrange(key, 0, -1)
        if kind == b"hash":
            return self.broker.hgetall(key)
        if kind == b"zset":
            return self.broker.zrange(key, 0, -1, withscores=True)
        return self.broker.get(key) if kind == b"string" else None

    def consumed(self) -> list[str]:
        client = connections(self.worker.port).client("celery", writable=False)
        answers = client.ask("active_queues")
        client.close()
        return sorted(one["name"] for one in answers[self.worker.name])

    def writes(self) -> list[str]:
        """What changes more than a question does: orders to workers, scripts with keys, plain writes."""
        found = []
        for words in self.recorder.redis_calls():
            name = words[0].decode().upper()
            if name == "PUBLISH":
                message = json.loads(words[2])
                method = json.loads(base64.b64decode(message["body"]))["method"]
                found += [method] if method in _ORDERS else []
            elif name in _WRITES or (name == "EVAL" and b"KEYS[3]" in words[1]):
                found.append(name)
        return found


def _faults(shop: Shop, params: Mapping[str, Any], *, results: bool = False) -> dict[str, Fault]:
    port = shop.recorder.port
    login = {"username": "nobody", "password": {"env": "PASSWORD"}}
    found = {
        "unreachable": Fault(Category.TRANSIENT, connections(free_port()), params),
        "credentials": Fault(Category.CONFIGURATION, connections(port, **login), params),
    }
    if not results:  # the result backend has no separator
        other = connections(port, separator="\x06\x16")
        found["another separator"] = Fault(Category.CONFIGURATION, other, params)
    return found


def _change(request: pytest.FixtureRequest, action: Any, more: Mapping[str, Any]) -> ChangeCase:
    shop: Shop = request.getfixturevalue("shop")
    params = {"connection": "celery", **more}
    faults = _faults(shop, params, results=action.name == "celery.recover")
    way = connections(shop.recorder.port)
    case = ChangeCase(way, params, shop.state, shop.writes, faults, [PASSWORD], action=action)
    case.conflict = "a worker has taken"
    return case


def pause(request: pytest.FixtureRequest) -> ChangeCase:
    return _change(request, CeleryPause(), {"queue": "batch.low"})


def resume(request: pytest.FixtureRequest) -> ChangeCase:
    return _change(request, CeleryResume(), {"queue": "batch.extra"})


def recover(request: pytest.FixtureRequest) -> ChangeCase:
    case = _change(request, CeleryRecover(), {"queue": QUEUE, "group": "batch-1", "priority": 3})
    shop: Shop = request.getfixturevalue("shop")
    case.meddle = lambda: shop.broker.rpop(f"{QUEUE}:3")
    return case


def restore(request: pytest.FixtureRequest) -> ChangeCase:
    case = _change(request, CeleryRestore(), {"queue": QUEUE, "older_than": 60.0})
    shop: Shop = request.getfixturevalue("shop")
    case.meddle = lambda: shop.broker.rpop(f"{QUEUE}:5")
    return case


def _read(
    request: pytest.FixtureRequest,
    action: Any,
    more: Mapping[str, Any],
    check: Callable[[Any], None],
) -> ReadCase:
    shop: Shop = request.getfixturevalue("shop")
    params = {"connection": "celery", **more}
    faults = _faults(shop, params, results=action.name == "celery.failed")
    way = connections(shop.recorder.port)
    return ReadCase(
        way, params, shop.kept, shop.writes, faults, [PASSWORD], action=action, check=check
    )


def workers(request: pytest.FixtureRequest) -> ReadCase:
    def check(output: Any) -> None:
        (name,) = output["workers"]
        assert output["workers"][name]["queues"] == ["batch.high", "batch.low", "batch.normal"]
        assert (output["count"], output["missing"]) == (1, ["gone@shop"])
        assert output["queues"]["batch.low"] == [name]

    return _read(request, CeleryWorkers(), {"expected": ["one@shop", "gone@shop"]}, check)


def failed(request: pytest.FixtureRequest) -> ReadCase:
    def check(output: Any) -> None:
        assert [task["id"] for task in output["tasks"]] == ["t-1", "t-2"]
        assert output["by_error"] == {"ConnectionError": 1, "ValueError": 1}
        assert output["states"] == {"FAILURE": 2, "SUCCESS": 1}
        assert (output["scanned"], output["whole"], output["more"]) == (4, True, 0)
        assert output["tasks"][0]["resendable"]
        assert "private" not in json.dumps(output)

    return _read(request, CeleryFailed(), {"group": "batch-1"}, check)


def unacked(request: pytest.FixtureRequest) -> ReadCase:
    def check(output: Any) -> None:
        assert [one["task"] for one in output["orphans"]] == ["lost-1", "lost-2"]
        assert (output["young"], output["held"], output["unacked"]) == (1, 0, 3)
        assert output["workers"] == ["one@shop"]

    return _read(request, CeleryUnacked(), {"older_than": 60.0}, check)


CHANGES = {
    "celery.pause": pause,
    "celery.resume": resume,
    "celery.recover": recover,
    "celery.restore": restore,
}


def queues(request: pytest.FixtureRequest) -> ReadCase:
    shop: Shop = request.getfixturevalue("shop")
    shop.broker.lpush(f"{QUEUE}:7", "a", "b")
    shop.broker.lpush(QUEUE, "c")

    def check(output: Any) -> None:
        depths = output["queues"][QUEUE]
        assert (depths["depth"], output["depth"], output["unacked"]) == (3, 3, 3)
        assert {step: n for step, n in depths["by_priority"].items() if n} == {"0": 1, "7": 2}

    case = _read(request, CeleryQueues(), {"queues": [QUEUE]}, check)
    case.faults = _faults(shop, case.params, results=True)
    return case


READS = {
    "celery.queues": queues,
    "celery.workers": workers,
    "celery.failed": failed,
    "celery.unacked": unacked,
}


def result(number: int, status: str, group: str, error: str = "ConnectionError") -> str:
    """A result as Celery's backend keeps it with `result_extended`."""
    failure = {"exc_type": error, "exc_message": ["reset by peer"], "exc_module": "builtins"}
    return json.dumps(
        {
            "status": status,
            "result": failure if status == "FAILURE" else "done",
            "traceback": None,
            "children": [],
            "date_done": f"2026-11-27T03:00:0{number}+00:00",
            "group_id": group,
            "name": "documents.parse",
            "args": [f"private-{number}.pdf"],
            "kwargs": {},
            "worker": "one@shop",
            "retries": 0,
            "queue": QUEUE,
            "task_id": f"t-{number}",
        }
    )


def handed(task: str) -> str:
    """A message as the transport keeps it while a worker has it."""
    message = {
        "body": base64.b64encode(json.dumps([[task], {}, {}]).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "documents.parse", "id": task},
        "properties": {
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 5,
            "body_encoding": "base64",
            "delivery_tag": f"tag-{task}",
        },
    }
    return json.dumps([message, "", QUEUE])


def fill(shop: Shop) -> None:
    """Failed tasks of a batch, messages of a dead worker, and one that was just handed out; nothing else."""
    now = 1_000_000_000_000.0  # beyond any clock: the message is young
    lost = {"lost-1": 1000.0, "lost-2": 2000.0, "young": now}
    shop.results.flushdb()
    for key in shop.broker.scan_iter():
        if not key.startswith(b"_kombu."):
            shop.broker.delete(key)
    shop.results.set("celery-task-meta-t-1", result(1, "FAILURE", "batch-1"))
    shop.results.set("celery-task-meta-t-2", result(2, "FAILURE", "batch-1", "ValueError"))
    shop.results.set("celery-task-meta-t-3", result(3, "SUCCESS", "batch-1"))
    shop.results.set("celery-task-meta-t-4", result(4, "FAILURE", "batch-2"))
    for task, score in lost.items():
        shop.broker.hset("unacked", f"tag-{task}", handed(task))
        shop.broker.zadd("unacked_index", {f"tag-{task}": score})


def filled(worker: CeleryWorker) -> Iterator[Shop]:
    """The shop, filled; whatever a case paused is taken again at its end."""
    import redis

    broker = redis.Redis(port=worker.port, db=BROKER)
    results = redis.Redis(port=worker.port, db=RESULTS)
    with Recorder(worker.port) as recorder:
        shop = Shop(worker, broker, results, recorder)
        fill(shop)
        yield shop
        taken, usual = set(shop.consumed()), set(worker.queues)
        for queue in usual - taken:
            _ask(worker, "add_consumer", queue)
        for queue in taken - usual:
            _ask(worker, "cancel_consumer", queue)
    broker.close()
    results.close()


def _ask(worker: CeleryWorker, order: str, queue: str) -> None:
    client = connections(worker.port).client("celery", writable=True)
    client.ask(order, [worker.name], queue=queue)
    client.close()
