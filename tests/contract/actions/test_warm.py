"""What a warmed connection need not do any more: seen from outside, by what arrives at the system."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from actions.kubernetes.access import KubernetesCanI
from actions.kubernetes.connection import KubernetesKind
from actions.postgres.connection import PostgresKind
from actions.postgres.query import PostgresQuery
from actions.prometheus.connection import PrometheusKind
from actions.prometheus.query import PrometheusQuery
from actions.redis.connection import RedisKind
from actions.redis.queues import RedisQueues
from engine.contract import ActionFailed, ConnectionKind, Read
from engine.contract.registry import Registry
from engine.domain.clock import ManualClock, SystemClock
from engine.running.secrets import Secrets
from engine.running.world import Connection, Connections
from tests.contract.actions.conftest import Broker, Database
from tests.contract.actions.kube_scene import NAMESPACE, make_cluster
from tests.contract.actions.recorder import Recorder
from worlds.cluster import ADMIN_TOKEN
from worlds.cluster.server import ClusterServer

REVIEW = {"api_version": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}


def opened(kind: ConnectionKind, settings: Mapping[str, Any]) -> Connections:
    """The engine's own connections, with one of them."""
    one = Connection("one", kind, kind.Settings.model_validate(settings))
    secrets = Secrets(lambda _: "")
    return Connections(Registry(), {"one": one}, secrets, SystemClock(), lambda _: ADMIN_TOKEN)


@pytest.fixture
def kubernetes() -> Iterator[Recorder]:
    with ClusterServer(make_cluster(ManualClock())) as server:
        port = int(server.url.rpartition(":")[2])
        with Recorder(port) as recorder:
            yield recorder


def reading(action: Read[Any], **params: Any) -> Callable[[Connections], Any]:
    given = action.Params.model_validate({"connection": "one", **params})
    return lambda connections: action.read(given, connections.world(writable=False))


def at(recorder: Recorder) -> dict[str, Any]:
    return {"server": recorder.url, "token": {"env": "TOKEN"}}


def can_i(connections: Connections) -> Any:
    return reading(KubernetesCanI(), verbs=["create"], namespace=NAMESPACE, **REVIEW)(connections)


def test_a_warmed_cluster_is_asked_for_no_discovery(kubernetes: Recorder) -> None:
    cold = opened(KubernetesKind(), at(kubernetes))
    can_i(cold)
    discovery = ("GET", "/apis/authorization.k8s.io/v1")
    assert kubernetes.requests().count(discovery) == 1
    assert cold.tally.counts()["discovery"] == (0, 1)
    cold.close()

    warm = opened(KubernetesKind(), at(kubernetes))
    templated = {"api_version": "{{ inputs.version }}", "kind": "Widget"}
    absent = {"api_version": "authorization.k8s.io/v1", "kind": "Widget"}
    assert warm.warm("one", [REVIEW, templated, absent, REVIEW], writable=False) == 1
    asked, connected = len(kubernetes.requests()), kubernetes.connections
    can_i(warm)
    assert warm.tally.counts()["discovery"] == (1, 0)
    assert kubernetes.connections == connected
    (only,) = kubernetes.requests()[asked:]
    assert only[0] == "POST", "the question itself, and nothing before it"
    warm.close()


def check_reused(
    connections: Connections, recorder: Recorder, read: Callable[[Connections], Any]
) -> None:
    """The first read after warming up comes over a connection that is open already."""
    assert connections.warm("one", [], writable=False) == 0
    connected = recorder.connections
    assert connected > 0
    read(connections)
    assert recorder.connections == connected
    assert connections.tally.counts()["connection"] == (1, 0)
    connections.close()


def test_a_warmed_database_is_not_connected_to_again(database: Database) -> None:
    connections = opened(PostgresKind(), {"dsn": database.recorded})
    before = database.state()
    check_reused(connections, database.recorder, reading(PostgresQuery(), sql="SELECT 1 AS one"))
    assert database.recorder.commits() == []
    assert database.state() == before


def test_a_warmed_broker_is_not_connected_to_again(broker: Broker) -> None:
    settings = {"host": "127.0.0.1", "port": broker.recorder.port}
    connections = opened(RedisKind(), settings)
    check_reused(connections, broker.recorder, reading(RedisQueues(), queues=["celery"]))


def test_a_warmed_prometheus_is_not_connected_to_again(metrics: Recorder) -> None:
    connections = opened(PrometheusKind(), {"url": metrics.url})
    check_reused(connections, metrics, reading(PrometheusQuery(), query="vector(1)"))


def test_what_refuses_is_a_failure_of_warming_alone(kubernetes: Recorder) -> None:
    connections = opened(KubernetesKind(), at(kubernetes))
    kubernetes.refusing = True
    with pytest.raises(ActionFailed):
        connections.warm("one", [REVIEW], writable=False)
    kubernetes.refusing = False
    assert can_i(connections)["allowed"] is True
    connections.close()
