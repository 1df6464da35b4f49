"""StatefulSets: pods with ordinals, one at a time, rolled from the last to the first."""

from __future__ import annotations

from collections.abc import Iterator

from engine.domain.canonical import JsonObject, digest
from worlds.cluster.controllers.base import (
    MANAGER,
    Controller,
    counts,
    is_ready,
    owner_keys,
    pod_from,
)
from worlds.cluster.controllers.revisions import record
from worlds.cluster.deletion import Deleter
from worlds.cluster.kinds import by_kind
from worlds.cluster.store import Change, Key
from worlds.cluster.values import clone

REVISION = "controller-revision-hash"
_POD = by_kind("Pod")


class StatefulSets(Controller):
    kind = by_kind("StatefulSet")

    def concerns(self, change: Change) -> Iterator[Key]:
        yield from super().concerns(change)
        if change.kind is _POD:
            yield from owner_keys(change, "StatefulSet")

    def sync(self, item: JsonObject) -> float | None:
        if item["metadata"].get("deletionTimestamp"):
            return None
        revision = f"{item['metadata']['name']}-{digest(item['spec']['template'])[:10]}"
        record(self.desk, item, revision)
        pods = {_ordinal(pod): pod for pod in self.desk.owned("Pod", item)}
        self._act(item, pods, revision)
        self._report(item, revision)
        return None

    def _act(self, item: JsonObject, pods: dict[int, JsonObject], revision: str) -> None:
        wanted = item["spec"]["replicas"]
        parallel = item["spec"].get("podManagementPolicy") == "Parallel"
        for ordinal in range(wanted):
            pod = pods.get(ordinal)
            if pod is None:
                self._create(item, ordinal, revision)
            if (pod is None or not is_ready(pod)) and not parallel:
                return
        for ordinal in sorted((each for each in pods if each >= wanted), reverse=True):
            self._delete(pods[ordinal])
            if not parallel:
                return
        if item["spec"]["updateStrategy"]["type"] != "RollingUpdate":
            return
        partition = (item["spec"]["updateStrategy"].get("rollingUpdate") or {}).get("partition", 0)
        for ordinal in range(wanted - 1, (partition or 0) - 1, -1):
            pod = pods[ordinal]
            if pod["metadata"]["labels"].get(REVISION) != revision:
                self._delete(pod)
                return
            if not is_ready(pod):
                return

    def _create(self, item: JsonObject, ordinal: int, revision: str) -> None:
        name, home = item["metadata"]["name"], item["metadata"]["namespace"]
        body = pod_from(item["spec"]["template"], item, f"{name}-")
        body["metadata"]["name"] = f"{name}-{ordinal}"
        del body["metadata"]["generateName"]
        labels = body["metadata"].setdefault("labels", {})
        labels |= {
            REVISION: revision,
            "apps.kubernetes.io/pod-index": str(ordinal),
            "statefulset.kubernetes.io/pod-name": f"{name}-{ordinal}",
        }
        self.desk.writer.create(_POD, home, body, MANAGER)
        text = f"create Pod {name}-{ordinal} in StatefulSet {name} successful"
        self.desk.event(item, "SuccessfulCreate", text, "statefulset-controller")

    def _delete(self, pod: JsonObject) -> None:
        if pod["metadata"].get("deletionTimestamp"):
            return
        home, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        Deleter(self.desk.store, self.desk.now).delete(_POD, home, name, {}, dry_run=False)

    def _report(self, item: JsonObject, revision: str) -> None:
        pods = self.desk.owned("Pod", item)
        wanted = item["spec"]["replicas"]
        ready = [pod for pod in pods if is_ready(pod)]
        updated = [pod for pod in pods if pod["metadata"]["labels"].get(REVISION) == revision]
        status = item.get("status") or {}
        current = status.get("currentRevision") or revision
        if len(updated) == len(pods) == wanted == len(ready):
            current = revision
        changed = clone(item)
        changed["status"] = (
            counts({"observedGeneration": item["metadata"]["generation"]})
            | {"replicas": len(pods)}
            | counts(
                {
                    "readyReplicas": len(ready),
                    "currentReplicas": sum(
                        pod["metadata"]["labels"].get(REVISION) == current for pod in pods
                    ),
                    "updatedReplicas": len(updated),
                }
            )
            | {
                "currentRevision": current,
                "updateRevision": revision,
                "collisionCount": 0,
                "availableReplicas": len(ready),
            }
        )
        self.desk.save(self.kind, changed)


def _ordinal(pod: JsonObject) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])
