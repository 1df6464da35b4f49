"""Deployments: replica sets by template, rolled over within maxSurge and maxUnavailable."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from engine.domain.canonical import JsonObject
from worlds.cluster.controllers import rollouts
from worlds.cluster.controllers.base import (
    MANAGER,
    Controller,
    condition,
    counts,
    owner_keys,
    owner_reference,
)
from worlds.cluster.controllers.rollouts import Side
from worlds.cluster.deletion import Deleter
from worlds.cluster.kinds import by_kind
from worlds.cluster.store import Change, Key
from worlds.cluster.times import read_stamp, stamp
from worlds.cluster.values import clone

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
HASH = "pod-template-hash"
_UNCOPIED = {
    REVISION,
    HISTORY,
    DESIRED,
    MAXIMUM,
    "kubectl.kubernetes.io/last-applied-configuration",
}
_SETS = by_kind("ReplicaSet")


class Deployments(Controller):
    kind = by_kind("Deployment")

    def concerns(self, change: Change) -> Iterator[Key]:
        yield from super().concerns(change)
        if change.kind is _SETS:
            yield from owner_keys(change, "Deployment")
        # A set's last pod leaving matters to Recreate, which waits for it.
        if change.kind.kind == "Pod" and change.type == "DELETED":
            for namespace, name in owner_keys(change, "ReplicaSet"):
                yield namespace, name.rpartition("-")[0]

    def sync(self, item: JsonObject) -> float | None:
        if item["metadata"].get("deletionTimestamp"):
            return None
        sets = sorted(
            self.desk.owned("ReplicaSet", item),
            key=lambda each: int(each["metadata"]["annotations"].get(REVISION, 0)),
        )
        new = next((each for each in sets if _same_template(each, item)), None)
        old = [each for each in sets if each is not new]
        paused = item["spec"].get("paused", False)
        if not paused:
            if new is None:
                if self._recreates(item) and self._drained(item, old):
                    return None
                self._make(item, old)
                return None
            item, new = self._adopt(item, new, old)
        if self._resized(item, old if new is None else [new, *old]):
            return None
        if not paused and new is not None:
            if self._recreates(item):
                if not self._drained(item, old):
                    self._size(item, new, item["spec"]["replicas"])
            elif self._roll(item, new, old):
                return None
            self._prune(item, old)
        return self._report(item, new)

    # -- replica sets

    def _recreates(self, item: JsonObject) -> bool:
        return bool(item["spec"]["strategy"]["type"] == "Recreate")

    def _drained(self, item: JsonObject, old: list[JsonObject]) -> bool:
        """Scale the old sets to nothing; returns whether pods of theirs are still there."""
        for each in old:
            self._size(item, each, 0)
        left = [pod for each in old for pod in self.desk.owned("Pod", each)]
        if left:
            self._report(item, None)
        return bool(left)

    def _make(self, item: JsonObject, old: list[JsonObject]) -> None:
        spec, metadata = item["spec"], item["metadata"]
        template = clone(spec["template"])
        mark = self.desk.names.template_hash()
        template["metadata"]["labels"] = {
            **(template["metadata"].get("labels") or {}),
            HASH: mark,
        }
        selector = clone(spec["selector"])
        selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH: mark}
        size = spec["replicas"]
        if not self._recreates(item):
            sides = [_side(each) for each in old]
            size = rollouts.grow(Side(0, 0), sides, spec["replicas"], self._bounds(item)[0])
        body = {
            "metadata": {
                "name": f"{metadata['name']}-{mark}",
                "labels": dict(template["metadata"]["labels"]),
                "annotations": self._notes(item, str(_latest(old) + 1)),
                "ownerReferences": [owner_reference(item)],
            },
            "spec": {"replicas": size, "selector": selector, "template": template},
        }
        if spec.get("minReadySeconds"):
            body["spec"]["minReadySeconds"] = spec["minReadySeconds"]
        made = self.desk.writer.create(_SETS, metadata["namespace"], body, MANAGER).item
        name = made["metadata"]["name"]
        changed = clone(item)
        text = f'Created new replica set "{name}"'
        self._set(changed, "Progressing", "True", "NewReplicaSetCreated", text)
        changed["metadata"].setdefault("annotations", {})[REVISION] = str(_latest(old) + 1)
        self.desk.save(self.kind, changed)
        if size:
            self._tell(item, "up", name, 0, size)

    def _notes(self, item: JsonObject, revision: str) -> dict[str, str]:
        own = item["metadata"].get("annotations") or {}
        replicas = item["spec"]["replicas"]
        surge = 0 if self._recreates(item) else self._bounds(item)[0]
        return {
            **{key: value for key, value in own.items() if key not in _UNCOPIED},
            DESIRED: str(replicas),
            MAXIMUM: str(replicas + surge),
            REVISION: revision,
        }

    def _adopt(
        self, item: JsonObject, new: JsonObject, old: list[JsonObject]
    ) -> tuple[JsonObject, JsonObject]:
        """Make an existing set the newest revision: a rollback, or nothing at all."""
        notes = dict(new["metadata"]["annotations"])
        mine, latest = int(notes.get(REVISION, 0)), _latest(old)
        if mine < latest:
            history = [each for each in notes.get(HISTORY, "").split(",") if each]
            notes[HISTORY] = ",".join([*history, str(mine)])
            mine = latest + 1
        own = item["metadata"].get("annotations") or {}
        notes |= {key: value for key, value in own.items() if key not in _UNCOPIED}
        notes[REVISION] = str(mine)
        if notes != new["metadata"]["annotations"]:
            new = clone(new)
            new["metadata"]["annotations"] = notes
            new = self.desk.save(_SETS, new)
        if own.get(REVISION) != str(mine):
            item = clone(item)
            item["metadata"].setdefault("annotations", {})[REVISION] = str(mine)
            item = self.desk.save(self.kind, item)
        return item, new

    def _resized(self, item: JsonObject, sets: list[JsonObject]) -> bool:
        """Scale the sets where the deployment itself was scaled; returns whether it was."""
        wanted = item["spec"]["replicas"]
        active = [each for each in sets if each["spec"]["replicas"] > 0]
        before = next(
            (
                int(each["metadata"]["annotations"].get(DESIRED, wanted))
                for each in active
                if each["metadata"]["annotations"].get(DESIRED) != str(wanted)
            ),
            None,
        )
        if before is None:
            return False
        if len(active) == 1:
            self._size(item, active[0], wanted)
            return True
        sizes = rollouts.spread([each["spec"]["replicas"] for each in active], wanted, before)
        for each, size in zip(active, sizes, strict=True):
            self._size(item, each, size)
        return True

    def _size(self, item: JsonObject, which: JsonObject, size: int) -> bool:
        now = which["spec"]["replicas"]
        changed = clone(which)
        changed["spec"]["replicas"] = size
        if size or now:
            notes = self._notes(item, which["metadata"]["annotations"].get(REVISION, "1"))
            changed["metadata"]["annotations"] |= {key: notes[key] for key in (DESIRED, MAXIMUM)}
        if changed == which:
            return False
        self.desk.save(_SETS, changed)
        if size != now:
            self._tell(item, "up" if size > now else "down", which["metadata"]["name"], now, size)
        return True

    def _tell(self, item: JsonObject, way: str, name: str, before: int, after: int) -> None:
        text = f"Scaled {way} replica set {name} from {before} to {after}"
        self.desk.event(item, "ScalingReplicaSet", text, "deployment-controller")

    def _bounds(self, item: JsonObject) -> tuple[int, int]:
        rolling = item["spec"]["strategy"].get("rollingUpdate") or {}
        return rollouts.bounds(
            item["spec"]["replicas"],
            rolling.get("maxSurge", "25%"),
            rolling.get("maxUnavailable", "25%"),
        )

    def _roll(self, item: JsonObject, new: JsonObject, old: list[JsonObject]) -> bool:
        surge, unavailable = self._bounds(item)
        wanted = item["spec"]["replicas"]
        active = [each for each in old if each["spec"]["replicas"] > 0]
        sides = [_side(each) for each in active]
        if self._size(item, new, rollouts.grow(_side(new), sides, wanted, surge)):
            return True
        moved = False
        for each, size in zip(
            active, rollouts.shrink(_side(new), sides, wanted, unavailable), strict=True
        ):
            moved |= size != each["spec"]["replicas"] and self._size(item, each, size)
        return moved

    def _prune(self, item: JsonObject, old: list[JsonObject]) -> None:
        keep = item["spec"].get("revisionHistoryLimit", 10)
        idle = [
            each
            for each in old
            if not each["spec"]["replicas"] and not each["status"].get("replicas")
        ]
        deleter = Deleter(self.desk.store, self.desk.now)
        for each in idle[: max(0, len(idle) - keep)]:
            home, name = each["metadata"]["namespace"], each["metadata"]["name"]
            deleter.delete(_SETS, home, name, {}, dry_run=False)

    # -- status

    def _report(self, item: JsonObject, new: JsonObject | None) -> float | None:
        fresh = {each["metadata"]["name"]: each for each in self.desk.owned("ReplicaSet", item)}
        sets = list(fresh.values())
        newest = fresh.get(new["metadata"]["name"]) if new else None
        live = self.desk.store.get(
            self.kind, item["metadata"]["namespace"], item["metadata"]["name"]
        )
        if live is None:
            return None
        changed = clone(live)
        before = live.get("status") or {}
        wanted = item["spec"]["replicas"]
        total = sum(each["spec"]["replicas"] for each in sets)
        available = _sum(sets, "availableReplicas")
        updated = newest["status"].get("replicas", 0) if newest else 0
        numbers = counts(
            {
                "observedGeneration": item["metadata"]["generation"],
                "replicas": _sum(sets, "replicas"),
                "updatedReplicas": updated,
                "readyReplicas": _sum(sets, "readyReplicas"),
                "availableReplicas": available,
                "unavailableReplicas": max(0, total - available),
            }
        )
        changed["status"] = numbers | (
            {"conditions": before["conditions"]} if before.get("conditions") else {}
        )
        self._availability(item, changed, available, wanted)
        wait = self._progress(item, changed, before, newest)
        self.desk.save(self.kind, changed)
        return wait

    def _availability(
        self, item: JsonObject, changed: JsonObject, available: int, wanted: int
    ) -> None:
        unavailable = 0 if self._recreates(item) else self._bounds(item)[1]
        if available >= wanted - unavailable:
            text = "Deployment has minimum availability."
            self._set(changed, "Available", "True", "MinimumReplicasAvailable", text)
        else:
            text = "Deployment does not have minimum availability."
            self._set(changed, "Available", "False", "MinimumReplicasUnavailable", text)

    def _progress(
        self, item: JsonObject, changed: JsonObject, before: JsonObject, newest: JsonObject | None
    ) -> float | None:
        status, wanted = changed["status"], item["spec"]["replicas"]
        current = condition(changed, "Progressing")
        done = current is not None and current["reason"] == "NewReplicaSetAvailable"
        if done and status.get("replicas", 0) == status.get("updatedReplicas", 0):
            return None
        name = newest["metadata"]["name"] if newest else item["metadata"]["name"]
        numbers = [
            status.get(each, 0) for each in ("updatedReplicas", "replicas", "availableReplicas")
        ]
        if numbers == [wanted] * 3:
            text = f'ReplicaSet "{name}" has successfully progressed.'
            self._set(changed, "Progressing", "True", "NewReplicaSetAvailable", text)
            return None
        if _moved(before, status):
            text = f'ReplicaSet "{name}" is progressing.'
            self._set(changed, "Progressing", "True", "ReplicaSetUpdated", text, again=True)
            current = condition(changed, "Progressing")
        if current is None or current["reason"] == "ProgressDeadlineExceeded":
            return None
        limit = item["spec"].get("progressDeadlineSeconds", 600)
        due = read_stamp(current["lastUpdateTime"]) + timedelta(seconds=limit)
        left = (due - self.desk.now()).total_seconds()
        if left > 0:
            return left
        text = f'ReplicaSet "{name}" has timed out progressing.'
        self._set(changed, "Progressing", "False", "ProgressDeadlineExceeded", text)
        return None

    def _set(
        self,
        item: JsonObject,
        kind: str,
        status: str,
        reason: str,
        message: str,
        *,
        again: bool = False,
    ) -> None:
        """Set a condition; one that says the same already stays as it is, unless `again`."""
        now = stamp(self.desk.now())
        current = condition(item, kind)
        if current and current["status"] == status and current["reason"] == reason and not again:
            return
        kept = current is not None and current["status"] == status
        others = [each for each in item["status"].get("conditions") or [] if each["type"] != kind]
        item["status"]["conditions"] = [
            *others,
            {
                "type": kind,
                "status": status,
                "lastUpdateTime": now,
                "lastTransitionTime": current["lastTransitionTime"] if kept and current else now,
                "reason": reason,
                "message": message,
            },
        ]


def _side(which: JsonObject) -> Side:
    return Side(which["spec"]["replicas"], which["status"].get("availableReplicas", 0))


def _sum(sets: list[JsonObject], field: str) -> int:
    return sum(each["status"].get(field, 0) for each in sets)


def _latest(sets: list[JsonObject]) -> int:
    return max((int(each["metadata"]["annotations"].get(REVISION, 0)) for each in sets), default=0)


def _same_template(which: JsonObject, item: JsonObject) -> bool:
    template: Any = clone(which["spec"]["template"])
    (template["metadata"].get("labels") or {}).pop(HASH, None)
    return bool(template == item["spec"]["template"])


def _moved(before: JsonObject, after: JsonObject) -> bool:
    """Whether a status shows progress over the one before it."""

    def old(status: JsonObject) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return any(after.get(each, 0) > before.get(each, 0) for each in grown) or (
        old(after) < old(before)
    )
