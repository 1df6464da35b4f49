"""A namespace with one workload of each sort, and the ways to reach it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from actions.kubernetes.client import KubernetesClient
from actions.kubernetes.connection import KubernetesKind
from actions.kubernetes.guard import Allow
from engine.contract import Opening, Planned, SecretRef
from engine.contract.ports import UNCONFIGURED, UNKNOWN, ChatPort, IncidentPort
from engine.domain.canonical import JsonObject
from engine.domain.clock import Clock, ManualClock
from worlds.cluster import ADMIN, Cluster, InProcess, User

C = TypeVar("C")
NAMESPACE = "starforge"


def container(name: str = "app", **more: Any) -> JsonObject:
    return {"name": name, "image": f"registry.invalid/{name}:1", **more}


def deployment(name: str, replicas: int = 2, **annotations: str) -> JsonObject:
    labels = {"app": name}
    notes = {key.replace("_", "-"): value for key, value in annotations.items()}
    template_notes = {f"fake-kubelet/{key}": value for key, value in notes.items()}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": template_notes},
                "spec": {
                    "containers": [
                        container(
                            resources={"limits": {"memory": "128Mi"}},
                            env=[{"name": "MODE", "value": "fast"}],
                        ),
                        container("sidecar"),
                    ]
                },
            },
        },
    }


def cron_job(name: str, schedule: str = "0 * * * *", **spec: Any) -> JsonObject:
    pod = {"restartPolicy": "Never", "containers": [container("w")]}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "schedule": schedule,
            "jobTemplate": {"spec": {"template": {"spec": pod}}},
            **spec,
        },
    }


SCENE: list[JsonObject] = [
    deployment("etl-worker", logs="line one\nKilled\n"),
    cron_job("scoring"),
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "batch", "namespace": NAMESPACE},
        "data": {"batch.yaml": "workers: 4\n", "other": "kept"},
    },
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "keys", "namespace": NAMESPACE},
        "stringData": {"token": "hunter2-hunter2"},
    },
    {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": NAMESPACE},
        "spec": {
            "replicas": 2,
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "db"}},
            "template": {
                "metadata": {"labels": {"app": "db"}},
                "spec": {"containers": [container("db")]},
            },
        },
    },
    cron_job("paused", suspend=True),
]


def make_cluster(clock: ManualClock) -> Cluster:
    cluster = Cluster(clock)
    cluster.load(SCENE)
    clock.advance(20)
    cluster.run()
    return cluster


@dataclass
class Sight:
    """The world of one attempt, over given clients."""

    reader: KubernetesClient
    writer: KubernetesClient
    clock: Clock
    writable: bool = False
    earlier: Sequence[Planned] = ()
    chat: ChatPort = UNCONFIGURED
    incident: IncidentPort = UNKNOWN
    overriding: bool = False

    def cancelled(self) -> bool:
        return False

    def progress(self, done: int, total: int | None, text: str = "") -> None:
        del done, total, text

    def client(self, connection: str, kind: type[C]) -> C:
        del connection
        client = self.writer if self.writable else self.reader
        assert isinstance(client, kind)
        return client

    def reading(self, earlier: Sequence[Planned] = ()) -> Sight:
        return Sight(self.reader, self.writer, self.clock, earlier=earlier)

    def writing(self) -> Sight:
        return Sight(self.reader, self.writer, self.clock, writable=True)


def over_http(url: str, token: str, clock: Clock, **settings: Any) -> Sight:
    kind = KubernetesKind()
    given = {"server": url, "token": {"env": "TOKEN"}, "timeout": 5, **settings}
    checked = kind.Settings.model_validate(given)

    def secret(reference: SecretRef) -> str:
        assert reference.env == "TOKEN"
        return token

    clients = [
        kind.open(Opening("cluster", checked, writable, clock, secret))
        for writable in (False, True)
    ]
    return Sight(clients[0], clients[1], clock)


def in_process(cluster: Cluster, user: User = ADMIN, allow: Allow | None = None) -> Sight:
    clients = [
        KubernetesClient(
            "cluster",
            InProcess(cluster, user),
            clock=cluster.clock,
            writable=writable,
            allow=allow,
        )
        for writable in (False, True)
    ]
    return Sight(clients[0], clients[1], cluster.clock)
