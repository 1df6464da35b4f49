"""Namespaces, the garbage collector, disruption budgets and the expiry of events."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta

from engine.domain.canonical import JsonObject
from worlds.cluster.controllers.base import EVENT_KEPT, MANAGER, Controller, is_active, is_ready
from worlds.cluster.deletion import FOREGROUND, ORPHAN, Deleter
from worlds.cluster.kinds import KINDS, by_kind
from worlds.cluster.selectors import object_selector
from worlds.cluster.store import Change, Key
from worlds.cluster.times import read_stamp, stamp
from worlds.cluster.values import clone


class Namespaces(Controller):
    """Furnishes a new namespace, empties and removes one that is going."""

    kind = by_kind("Namespace")

    def concerns(self, change: Change) -> Iterator[Key]:
        yield from super().concerns(change)
        if change.type == "DELETED" and change.kind.namespaced:
            yield "", change.after["metadata"]["namespace"]

    def sync(self, item: JsonObject) -> float | None:
        name = item["metadata"]["name"]
        if not item["metadata"].get("deletionTimestamp"):
            self._furnish(name)
            return None
        left = False
        deleter = Deleter(self.desk.store, self.desk.now)
        for kind in KINDS:
            for each in self.desk.store.list(kind, name) if kind.namespaced else []:
                left = True
                if not each["metadata"].get("deletionTimestamp"):
                    options = {"propagationPolicy": "Background"}
                    deleter.delete(kind, name, each["metadata"]["name"], options, dry_run=False)
        if left:
            return 1.0
        self.desk.store.remove(self.kind, item)
        return None

    def _furnish(self, name: str) -> None:
        wanted: tuple[tuple[str, JsonObject], ...] = (
            ("ServiceAccount", {"metadata": {"name": "default"}}),
            (
                "ConfigMap",
                {
                    "metadata": {"name": "kube-root-ca.crt"},
                    "data": {"ca.crt": "in-memory cluster: no certificate\n"},
                },
            ),
        )
        for kind, body in wanted:
            if self.desk.store.get(by_kind(kind), name, body["metadata"]["name"]) is None:
                self.desk.writer.create(by_kind(kind), name, body, MANAGER)


class Garbage(Controller):
    """Deletes what lost its owner and carries out the foreground and orphan finalizers."""

    # It looks at every kind; keys carry the kind's resource name before the namespace.
    kind = by_kind("Namespace")

    def concerns(self, change: Change) -> Iterator[Key]:
        metadata = change.after["metadata"]
        if change.type == "DELETED":
            yield "owner", metadata["uid"]
        elif change.type == "MODIFIED" and metadata.get("deletionTimestamp"):
            yield "going", metadata["uid"]
        if change.type == "DELETED":
            for reference in metadata.get("ownerReferences") or []:
                yield "going", reference["uid"]

    def sync(self, item: JsonObject) -> float | None:
        del item
        raise NotImplementedError  # asked by key, see `collect`

    def collect(self, key: Key) -> None:
        word, uid = key
        if word == "owner":
            self._orphans(uid)
        else:
            self._going(uid)

    def _orphans(self, uid: str) -> None:
        deleter = Deleter(self.desk.store, self.desk.now)
        for kind, item in self.desk.store.dependents(uid):
            home, name = item["metadata"].get("namespace", ""), item["metadata"]["name"]
            if not item["metadata"].get("deletionTimestamp"):
                options = {"propagationPolicy": "Background"}
                deleter.delete(kind, home, name, options, dry_run=False)

    def _going(self, uid: str) -> None:
        found = self.desk.store.find(uid)
        if found is None or not found[1]["metadata"].get("deletionTimestamp"):
            return
        kind, item = found
        finalizers = item["metadata"].get("finalizers") or []
        if ORPHAN in finalizers:
            for other, dependent in self.desk.store.dependents(uid):
                freed = clone(dependent)
                references = freed["metadata"]["ownerReferences"]
                freed["metadata"]["ownerReferences"] = [
                    reference for reference in references if reference["uid"] != uid
                ]
                self.desk.save(other, freed)
        elif FOREGROUND in finalizers:
            self._orphans(uid)
            if self.desk.store.dependents(uid):
                return
        left = [name for name in finalizers if name not in (ORPHAN, FOREGROUND)]
        if left != finalizers and not left:
            self.desk.store.remove(kind, item)


class Budgets(Controller):
    """Keeps the numbers of a PodDisruptionBudget true; evictions read them."""

    kind = by_kind("PodDisruptionBudget")

    def concerns(self, change: Change) -> Iterator[Key]:
        yield from super().concerns(change)
        if change.kind.kind == "Pod":
            home = change.after["metadata"]["namespace"]
            for item in self.desk.store.list(self.kind, home):
                yield home, item["metadata"]["name"]

    def sync(self, item: JsonObject) -> float | None:
        spec, home = item["spec"], item["metadata"]["namespace"]
        chosen = object_selector(spec.get("selector"))
        pods = [
            pod
            for pod in self.desk.store.list(by_kind("Pod"), home)
            if is_active(pod) and chosen(pod["metadata"].get("labels") or {})
        ]
        healthy, expected = sum(is_ready(pod) for pod in pods), len(pods)
        if "maxUnavailable" in spec:
            desired = max(0, expected - _share(spec["maxUnavailable"], expected))
        else:
            desired = _share(spec.get("minAvailable", 1), expected)
        allowed = max(0, healthy - desired) if expected else 0
        changed = clone(item)
        before = (item["status"].get("conditions") or [{}])[0]
        state = "True" if allowed else "False"
        kept = before.get("status") == state
        changed["status"] = {
            "observedGeneration": item["metadata"].get("generation", 1),
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "conditions": [
                {
                    "type": "DisruptionAllowed",
                    "status": state,
                    "observedGeneration": item["metadata"].get("generation", 1),
                    "lastTransitionTime": before["lastTransitionTime"]
                    if kept
                    else stamp(self.desk.now()),
                    "reason": "SufficientPods" if allowed else "InsufficientPods",
                    "message": "",
                }
            ],
        }
        self.desk.save(self.kind, changed)
        return None


def _share(value: int | str, total: int) -> int:
    if isinstance(value, str):
        return math.ceil(total * int(value.rstrip("%")) / 100)
    return value


class Events(Controller):
    """Lets events go after an hour."""

    kind = by_kind("Event")

    def sync(self, item: JsonObject) -> float | None:
        last = item.get("lastTimestamp") or item["metadata"]["creationTimestamp"]
        left = (read_stamp(last) + EVENT_KEPT - self.desk.now()).total_seconds()
        if left > 0:
            return left + timedelta(seconds=1).total_seconds()
        self.desk.store.remove(self.kind, item)
        return None
