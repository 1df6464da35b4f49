"""ReplicaSets: as many pods as wanted, no more and no fewer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from engine.domain.canonical import JsonObject
from worlds.cluster.controllers.base import (
    MANAGER,
    Controller,
    counts,
    is_active,
    is_ready,
    owner_keys,
    pod_from,
    ready_since,
)
from worlds.cluster.deletion import Deleter
from worlds.cluster.kinds import by_kind
from worlds.cluster.selectors import object_selector
from worlds.cluster.store import Change, Key
from worlds.cluster.times import read_stamp
from worlds.cluster.values import clone


class ReplicaSets(Controller):
    kind = by_kind("ReplicaSet")

    def concerns(self, change: Change) -> Iterator[Key]:
        yield from super().concerns(change)
        if change.kind.kind == "Pod":
            yield from owner_keys(change, "ReplicaSet")

    def sync(self, item: JsonObject) -> float | None:
        pods = [pod for pod in self.desk.owned("Pod", item) if is_active(pod)]
        if not item["metadata"].get("deletionTimestamp"):
            self._scale(item, pods)
        pods = [pod for pod in self.desk.owned("Pod", item) if is_active(pod)]
        return self._report(item, pods)

    def _scale(self, item: JsonObject, pods: list[JsonObject]) -> None:
        wanted = item["spec"].get("replicas", 1)
        name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
        kind = by_kind("Pod")
        for _ in range(wanted - len(pods)):
            body = pod_from(item["spec"]["template"], item, f"{name}-")
            pod = self.desk.writer.create(kind, namespace, body, MANAGER).item
            text = f"Created pod: {pod['metadata']['name']}"
            self.desk.event(item, "SuccessfulCreate", text, "replicaset-controller")
        deleter = Deleter(self.desk.store, self.desk.now)
        for pod in sorted(pods, key=_rank)[: max(0, len(pods) - wanted)]:
            gone = pod["metadata"]["name"]
            deleter.delete(kind, namespace, gone, {}, dry_run=False)
            self.desk.event(
                item, "SuccessfulDelete", f"Deleted pod: {gone}", "replicaset-controller"
            )

    def _report(self, item: JsonObject, pods: list[JsonObject]) -> float | None:
        labels = item["spec"]["template"]["metadata"].get("labels") or {}
        seconds = item["spec"].get("minReadySeconds") or 0
        now = self.desk.now()
        ready = [pod for pod in pods if is_ready(pod)]
        waits = [
            (read_stamp(ready_since(pod)) + timedelta(seconds=seconds) - now).total_seconds()
            for pod in ready
        ]
        full = object_selector({"matchLabels": labels})
        changed = clone(item)
        changed["status"] = {"replicas": len(pods)} | counts(
            {
                "fullyLabeledReplicas": sum(
                    full(pod["metadata"].get("labels") or {}) for pod in pods
                ),
                "readyReplicas": len(ready),
                "availableReplicas": sum(wait <= 0 for wait in waits),
                "observedGeneration": item["metadata"].get("generation", 1),
            }
        )
        self.desk.save(self.kind, changed)
        left = [wait for wait in waits if wait > 0]
        return min(left) if left else None


def _rank(pod: JsonObject) -> tuple[bool, bool, bool, float]:
    """Order pods for deletion: unbound, pending and unready ones first, then the newest."""
    made = read_stamp(pod["metadata"]["creationTimestamp"]).timestamp()
    return (
        bool(pod["spec"].get("nodeName")),
        pod["status"].get("phase") == "Running",
        is_ready(pod),
        -made,
    )
