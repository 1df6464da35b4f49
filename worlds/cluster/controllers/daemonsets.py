"""DaemonSets: one pod a node, replaced one at a time."""

from __future__ import annotations

from collections.abc import Iterator

from engine.domain.canonical import JsonObject, digest
from worlds.cluster.controllers.base import (
    MANAGER,
    Controller,
    counts,
    is_active,
    is_ready,
    owner_keys,
    pod_from,
)
from worlds.cluster.controllers.pods import NODES
from worlds.cluster.deletion import Deleter
from worlds.cluster.kinds import by_kind
from worlds.cluster.store import Change, Key
from worlds.cluster.values import clone

HASH = "controller-revision-hash"
_POD = by_kind("Pod")


class DaemonSets(Controller):
    kind = by_kind("DaemonSet")

    def concerns(self, change: Change) -> Iterator[Key]:
        yield from super().concerns(change)
        if change.kind is _POD:
            yield from owner_keys(change, "DaemonSet")

    def sync(self, item: JsonObject) -> float | None:
        if item["metadata"].get("deletionTimestamp"):
            return None
        mark = digest(item["spec"]["template"])[:10]
        pods = [pod for pod in self.desk.owned("Pod", item) if is_active(pod)]
        name, home = item["metadata"]["name"], item["metadata"]["namespace"]
        for _ in range(len(NODES) - len(pods)):
            body = pod_from(item["spec"]["template"], item, f"{name}-")
            body["metadata"].setdefault("labels", {})[HASH] = mark
            self.desk.writer.create(_POD, home, body, MANAGER)
        old = [pod for pod in pods if pod["metadata"]["labels"].get(HASH) != mark]
        whole = len(pods) == len(NODES) and all(is_ready(pod) for pod in pods if pod not in old)
        if old and whole and item["spec"]["updateStrategy"]["type"] == "RollingUpdate":
            victim = old[0]["metadata"]["name"]
            Deleter(self.desk.store, self.desk.now).delete(_POD, home, victim, {}, dry_run=False)
        self._report(item, mark)
        return None

    def _report(self, item: JsonObject, mark: str) -> None:
        pods = [pod for pod in self.desk.owned("Pod", item) if is_active(pod)]
        ready = sum(is_ready(pod) for pod in pods)
        changed = clone(item)
        changed["status"] = {
            "currentNumberScheduled": len(pods),
            "numberMisscheduled": 0,
            "desiredNumberScheduled": len(NODES),
            "numberReady": ready,
        } | counts(
            {
                "observedGeneration": item["metadata"]["generation"],
                "updatedNumberScheduled": sum(
                    pod["metadata"]["labels"].get(HASH) == mark for pod in pods
                ),
                "numberAvailable": ready,
                "numberUnavailable": len(NODES) - ready,
            }
        )
        self.desk.save(self.kind, changed)
