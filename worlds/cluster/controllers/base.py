"""What controllers share: the store, the time, events, and when they want to look again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from engine.domain.canonical import JsonObject
from worlds.cluster.fates import Fates
from worlds.cluster.kinds import Kind, by_kind
from worlds.cluster.names import Names
from worlds.cluster.store import Change, Key, Store
from worlds.cluster.times import fine_stamp, stamp
from worlds.cluster.values import clone
from worlds.cluster.writes import Terms, Writer

MANAGER = Terms(manager="kube-controller-manager")
EVENT_KEPT = timedelta(hours=1)


@dataclass(frozen=True)
class Timing:
    """How long things take, in seconds of the cluster's clock.

    Attributes:
        latency: from a change to the controllers that look at it.
        start: from a pod's binding to its containers' start.
        run: how long a container of a job runs, where nothing else is said.
        stop: from a pod's deletion to its end.
        backoff: the first wait of a crash loop and of a failed job; it doubles.
    """

    latency: float = 0.05
    start: float = 1.0
    run: float = 2.0
    stop: float = 1.0
    backoff: float = 10.0


class Desk:
    """The store and what stands around it, as every controller sees them."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        names: Names,
        *,
        fates: Fates,
        timing: Timing,
        now: Callable[[], datetime],
    ) -> None:
        self.store, self.writer, self.names = store, writer, names
        self.fates, self.timing, self.now = fates, timing, now
        self._told: dict[tuple[str, ...], str] = {}  # the event of each thing told, by its name

    def save(self, kind: Kind, item: JsonObject) -> JsonObject:
        """Keep a controller's change, unless it changes nothing."""
        metadata = item["metadata"]
        live = self.store.get(kind, metadata.get("namespace", ""), metadata["name"])
        if live is None or live == item:
            return item
        if kind.spec_generation and item.get("spec") != live.get("spec"):
            metadata["generation"] = live["metadata"].get("generation", 1) + 1
        return self.store.put(kind, item)

    def owned(self, kind: str, owner: JsonObject) -> list[JsonObject]:
        """Return the objects of `kind` that `owner` controls, in the order of their names."""
        uid, home, wanted = (
            owner["metadata"]["uid"],
            owner["metadata"].get("namespace"),
            by_kind(kind),
        )
        found = [
            item
            for other, item in self.store.dependents(uid)
            if other is wanted
            and item["metadata"].get("namespace") == home
            and controller_of(item) == uid
        ]
        return sorted(found, key=lambda item: str(item["metadata"]["name"]))

    def scheduled(self, pod: JsonObject, text: str) -> None:
        """Record the scheduler's event, which is of the newer form: a time, no count."""
        kind, namespace = by_kind("Event"), pod["metadata"]["namespace"]
        self.store.put(
            kind,
            {
                "kind": "Event",
                "apiVersion": "v1",
                "metadata": {
                    "name": self._event_name(pod),
                    "namespace": namespace,
                    "uid": self.names.uid(),
                    "creationTimestamp": stamp(self.now()),
                },
                "involvedObject": _reference(pod, namespace),
                "reason": "Scheduled",
                "message": text,
                "source": {},
                "firstTimestamp": None,
                "lastTimestamp": None,
                "type": "Normal",
                "eventTime": fine_stamp(self.now()),
                "action": "Binding",
                "reportingComponent": "default-scheduler",
                "reportingInstance": "default-scheduler-in-memory",
            },
        )

    def _event_name(self, about: JsonObject) -> str:
        number = int(self.now().timestamp() * 1e9) + self.store.version
        return f"{about['metadata']['name']}.{number:x}"

    def event(
        self,
        about: JsonObject,
        reason: str,
        message: str,
        component: str,
        *,
        warning: bool = False,
        host: str = "",
    ) -> None:
        """Record an event about an object; the same one again raises its count."""
        kind, metadata = by_kind("Event"), about["metadata"]
        namespace = metadata.get("namespace") or "default"
        now = stamp(self.now())
        same = (namespace, metadata["uid"], reason, message, host)
        item = self.store.get(kind, namespace, self._told.get(same, ""))
        if item is not None:
            again = clone(item)
            again["count"], again["lastTimestamp"] = item.get("count", 1) + 1, now
            self.store.put(kind, again)
            return
        name = f"{metadata['name']}."
        generated: JsonObject = {}
        if host:
            generated = {"generateName": name}
            name += self.names.suffix()
        else:
            name = self._event_name(about)
        self._told[same] = name
        self.store.put(
            kind,
            {
                "kind": "Event",
                "apiVersion": "v1",
                "metadata": {
                    "name": name,
                    **generated,
                    "namespace": namespace,
                    "uid": self.names.uid(),
                    "creationTimestamp": now,
                },
                "involvedObject": _reference(about, namespace),
                "reason": reason,
                "message": message,
                "source": {"component": component} | ({"host": host} if host else {}),
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "type": "Warning" if warning else "Normal",
                "eventTime": None,
                "reportingComponent": "" if host else component,
                "reportingInstance": "",
            },
        )


def _reference(about: JsonObject, namespace: str) -> JsonObject:
    metadata = about["metadata"]
    return {
        "kind": about["kind"],
        "namespace": namespace,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "apiVersion": about["apiVersion"],
        "resourceVersion": metadata.get("resourceVersion", ""),
    }


class Controller(ABC):
    """Brings objects of `kind` where their spec says. Level-triggered: it may be asked at any time."""

    kind: Kind

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    @abstractmethod
    def sync(self, item: JsonObject) -> float | None:
        """Look at one object (a copy) and act. Returns the seconds until it wants to look again, if any."""

    def concerns(self, change: Change) -> Iterator[Key]:
        """Yield the keys of this controller's objects that a change may concern."""
        if change.kind is self.kind:
            metadata = change.after["metadata"]
            yield metadata.get("namespace", ""), metadata["name"]

    def forget(self, key: Key) -> None:  # noqa: B027  most remember nothing
        """The object is gone."""


def owner_keys(change: Change, kind: str) -> Iterator[Key]:
    """Yield the key of the controller of a changed object, where it is of `kind`."""
    for item in filter(None, (change.after, change.before)):
        for reference in item["metadata"].get("ownerReferences") or []:
            if reference["kind"] == kind and reference.get("controller"):
                yield item["metadata"].get("namespace", ""), reference["name"]
                return


def controller_of(item: JsonObject) -> str | None:
    """Return the uid of the object's controller."""
    for reference in item["metadata"].get("ownerReferences") or []:
        if reference.get("controller"):
            uid: str = reference["uid"]
            return uid
    return None


def owner_reference(owner: JsonObject) -> JsonObject:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_active(pod: JsonObject) -> bool:
    """Whether a pod counts for its owner: neither ended nor going."""
    ended = pod["status"].get("phase") in ("Succeeded", "Failed")
    return not ended and not pod["metadata"].get("deletionTimestamp")


def condition(item: JsonObject, kind: str) -> JsonObject | None:
    for each in item.get("status", {}).get("conditions") or []:
        if each["type"] == kind:
            found: JsonObject = each
            return found
    return None


def is_ready(pod: JsonObject) -> bool:
    found = condition(pod, "Ready")
    return found is not None and found["status"] == "True"


def ready_since(pod: JsonObject) -> str:
    found = condition(pod, "Ready")
    return str(found["lastTransitionTime"]) if found else ""


def pod_from(template: JsonObject, owner: JsonObject, prefix: str) -> JsonObject:
    """Return the pod that a controller makes from its template."""
    metadata: JsonObject = {"generateName": prefix, "ownerReferences": [owner_reference(owner)]}
    for name in ("labels", "annotations", "finalizers"):
        if (template.get("metadata") or {}).get(name):
            metadata[name] = clone(template["metadata"][name])
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": clone(template["spec"]),
    }


def counts(values: dict[str, Any]) -> JsonObject:
    """Return a status without its zeros, as the server leaves them out."""
    return {name: value for name, value in values.items() if value}
