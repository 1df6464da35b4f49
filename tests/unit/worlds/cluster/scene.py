"""Objects and shortcuts for tests of the in-memory cluster."""

from __future__ import annotations

from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.clock import ManualClock
from worlds.cluster import ADMIN, Cluster, User
from worlds.cluster.kinds import by_kind

NS = "ns"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def pod_template(labels: dict[str, str], **annotations: str) -> JsonObject:
    notes = {f"fake-kubelet/{key.replace('_', '-')}": value for key, value in annotations.items()}
    containers = [{"name": "c", "image": "registry.invalid/app:1"}]
    return {
        "metadata": {"labels": labels, "annotations": notes},
        "spec": {"containers": containers},
    }


def deployment(name: str = "d", replicas: int = 3, **spec: Any) -> JsonObject:
    template = spec.pop("template", pod_template({"app": name}))
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NS},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template,
            **spec,
        },
    }


def job(name: str, annotations: dict[str, str] | None = None, **spec: Any) -> JsonObject:
    template = pod_template({"job": name}, **(annotations or {}))
    template["spec"]["restartPolicy"] = spec.pop("restart", "Never")
    return {
        "kind": "Job",
        "metadata": {"name": name, "namespace": NS},
        "spec": {"template": template, **spec},
    }


def cron_job(name: str, schedule: str, **spec: Any) -> JsonObject:
    template = pod_template({"cron": name})
    template["spec"]["restartPolicy"] = "Never"
    return {
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": NS},
        "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": template}}, **spec},
    }


class Town:
    """A cluster on a clock of its own, with short words for what tests do most."""

    def __init__(self, *objects: JsonObject) -> None:
        self.clock = ManualClock()
        self.cluster = Cluster(self.clock)
        self.cluster.load(objects)

    def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.cluster.run()

    def get(self, kind: str, name: str) -> Any:
        return self.cluster.object(kind, NS, name)

    def path(self, kind: str, name: str = "") -> str:
        found = by_kind(kind)
        root = f"/apis/{found.group}/{found.version}" if found.group else f"/api/{found.version}"
        home = f"/namespaces/{NS}" if found.namespaced else ""
        return f"{root}{home}/{found.plural}" + (f"/{name}" if name else "")

    def list(self, kind: str, **query: Any) -> Any:
        response = self.cluster.call("GET", self.path(kind), query=query)
        assert response.status == 200, response.body
        return response.json()["items"]

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        kind: str = "application/json",
        user: User = ADMIN,
        **query: Any,
    ) -> tuple[int, Any]:
        response = self.cluster.call(
            method, path, body=body, content_type=kind, user=user, query=query
        )
        return response.status, response.json() if response.body[:1] == b"{" else response.body
