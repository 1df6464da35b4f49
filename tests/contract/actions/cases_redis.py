"""Redis's cases, over a real server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from actions.redis import RedisKind, RedisQueues, RedisRequeue
from engine.contract import Category
from engine.contract.testing import ChangeCase, Connections, Fault, ReadCase
from tests.contract.actions.conftest import Broker
from worlds.servers.process import free_port

PASSWORD = "p@ss w/rd+=%"
ALLOW = {"keys": ["celery*", "dead:*", "note"]}


def connections(port: int, **settings: Any) -> Connections:
    raw: Mapping[str, Any] = {"host": "127.0.0.1", "port": port, "timeout": 3, "allow": ALLOW}
    return Connections({"broker": (RedisKind(), {**raw, **settings})}, {"PASSWORD": PASSWORD})


def _faults(
    broker: Broker, params: Mapping[str, Any], wrong: Mapping[str, Any]
) -> dict[str, Fault]:
    broker.client.set("note", "no list")
    port = broker.recorder.port
    login = {"username": "nobody", "password": {"env": "PASSWORD"}}
    return {
        "unreachable": Fault(Category.TRANSIENT, connections(free_port()), params),
        "credentials": Fault(Category.CONFIGURATION, connections(port, **login), params),
        "wrong type": Fault(Category.PERMANENT, connections(port), {**params, **wrong}),
    }


def requeue(request: pytest.FixtureRequest) -> ChangeCase:
    broker: Broker = request.getfixturevalue("broker")
    params = {"connection": "broker", "source": "dead:celery", "queue": "celery", "limit": 3}
    faults = _faults(broker, params, {"source": "note"})
    state = broker.state, broker.writes
    case = ChangeCase(
        connections(broker.recorder.port), params, *state, faults, [PASSWORD], action=RedisRequeue()
    )
    case.meddle, case.conflict = lambda: broker.client.rpop("celery", 2), "a worker has taken"
    return case


def queues(request: pytest.FixtureRequest) -> ReadCase:
    broker: Broker = request.getfixturevalue("broker")
    params = {"connection": "broker", "queues": ["celery"], "priorities": [0, 3], "celery": True}

    def check(output: Any) -> None:
        depths = {"depth": 3, "by_priority": {"0": 1, "3": 2}}
        assert output == {"queues": {"celery": depths}, "depth": 3, "unacked": 1}

    faults = _faults(broker, params, {"queues": ["note"]})
    state = broker.state, broker.writes
    way = connections(broker.recorder.port)
    return ReadCase(way, params, *state, faults, [PASSWORD], action=RedisQueues(), check=check)


CHANGES = {"redis.requeue": requeue}
READS = {"redis.queues": queues}
