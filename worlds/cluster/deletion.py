"""Deletion: grace periods, finalizers and what becomes of dependents."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from engine.domain.canonical import JsonObject
from worlds.cluster.kinds import Kind
from worlds.cluster.status import bad_request, conflict, not_found, success
from worlds.cluster.store import Store
from worlds.cluster.times import stamp
from worlds.cluster.values import clone

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class Deleter:
    """Deletes objects of one store. The caller holds the cluster's lock."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    def delete(
        self, kind: Kind, namespace: str, name: str, options: JsonObject, *, dry_run: bool
    ) -> JsonObject:
        """Delete one object and return the answer: the object where it lingers, else a Status.

        Args:
            options: DeleteOptions: gracePeriodSeconds, propagationPolicy, preconditions.

        Raises:
            ApiError: 404, 409 where a precondition does not hold.
        """
        item = self._store.get(kind, namespace, name)
        if item is None:
            raise not_found(kind, name)
        self._check(kind, item, options.get("preconditions") or {})
        if kind.kind == "Pod":
            return self._pod(kind, item, options, dry_run=dry_run)
        answer = success(kind, name, item["metadata"]["uid"])
        if kind.kind == "Namespace":
            return self._linger(kind, item, [], 0, dry_run=dry_run)
        finalizers = self._finalizers(kind, item, options)
        if finalizers:
            return self._linger(kind, item, finalizers, 0, dry_run=dry_run)
        if not dry_run:
            self._store.remove(kind, item)
        return answer

    def _check(self, kind: Kind, item: JsonObject, wanted: JsonObject) -> None:
        metadata = item["metadata"]
        for field, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            if wanted.get(field) and wanted[field] != metadata[field]:
                why = (
                    f"Precondition failed: {label} in precondition: {wanted[field]}, "
                    f"{label} in object meta: {metadata[field]}"
                )
                raise conflict(kind, metadata["name"], why)

    def _finalizers(self, kind: Kind, item: JsonObject, options: JsonObject) -> list[str]:
        policy = options.get("propagationPolicy")
        if policy not in (None, "", "Background", "Foreground", "Orphan"):
            raise bad_request(f"invalid propagation policy: {policy}")
        if not policy:
            # Pods of a job stay by default: the one kind whose old default was kept.
            policy = "Orphan" if kind.kind == "Job" else "Background"
        kept = [
            name
            for name in item["metadata"].get("finalizers") or []
            if name not in (FOREGROUND, ORPHAN)
        ]
        dependents = bool(self._store.dependents(item["metadata"]["uid"]))
        if dependents and policy == "Foreground":
            kept.append(FOREGROUND)
        if dependents and policy == "Orphan":
            kept.append(ORPHAN)
        return kept

    def _pod(
        self, kind: Kind, item: JsonObject, options: JsonObject, *, dry_run: bool
    ) -> JsonObject:
        grace = options.get("gracePeriodSeconds")
        if grace is None:
            grace = item["spec"].get("terminationGracePeriodSeconds", 30)
        ended = item["status"].get("phase") in ("Succeeded", "Failed")
        if ended or not item["spec"].get("nodeName"):
            grace = 0
        finalizers = item["metadata"].get("finalizers") or []
        if grace == 0 and not finalizers:
            if not dry_run:
                return self._store.remove(kind, item)
            return item
        return self._linger(kind, item, finalizers, grace, dry_run=dry_run)

    def _linger(
        self, kind: Kind, item: JsonObject, finalizers: list[str], grace: int, *, dry_run: bool
    ) -> JsonObject:
        if item["metadata"].get("deletionTimestamp"):
            return item
        going = clone(item)
        metadata = going["metadata"]
        metadata["deletionTimestamp"] = stamp(self._now() + timedelta(seconds=grace))
        if kind.kind != "Namespace":
            metadata["deletionGracePeriodSeconds"] = grace
        else:
            going["status"]["phase"] = "Terminating"
        if finalizers:
            metadata["finalizers"] = finalizers
        return going if dry_run else self._store.put(kind, going)
