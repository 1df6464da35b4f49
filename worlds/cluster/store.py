"""The objects, their versions, and what a watch may replay. Knows no kind's rules."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engine.domain.canonical import JsonObject
from worlds.cluster.kinds import KINDS, Kind
from worlds.cluster.values import clone

HISTORY = 20_000  # events kept for watches; an older resourceVersion answers 410


@dataclass(frozen=True)
class Change:
    """One event of the history. `before` is None for ADDED."""

    version: int
    type: str
    kind: Kind
    before: JsonObject | None
    after: JsonObject


Listener = Callable[[Change], None]
Listeners = list[Listener]
Key = tuple[str, str]  # namespace ('' where there is none), name
Objects = list[JsonObject]
Changes = list[Change]


class Store:
    """All objects by kind. Not locked: the cluster holds its own lock around every use.

    Attributes:
        version: the latest resourceVersion given out.
        changed: notified at each change, for watches.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self.version = 200
        self.changed = threading.Condition(lock)
        self._objects: dict[Kind, dict[Key, JsonObject]] = {kind: {} for kind in KINDS}
        self._history: deque[Change] = deque(maxlen=HISTORY)
        self._listeners: Listeners = []

    def listen(self, listener: Listener) -> None:
        """Call `listener` after every change, in order."""
        self._listeners.append(listener)

    def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        """Return the stored object itself: callers copy before they change it."""
        return self._objects[kind].get((namespace, name))

    def list(self, kind: Kind, namespace: str | None = None) -> Objects:
        """Return the stored objects in the order of their keys; None means all namespaces."""
        objects = self._objects[kind]
        if namespace is None:
            return [objects[key] for key in sorted(objects)]
        return [objects[key] for key in sorted(key for key in objects if key[0] == namespace)]

    def all(self) -> Iterator[tuple[Kind, JsonObject]]:
        for kind, objects in self._objects.items():
            for item in list(objects.values()):
                yield kind, item

    def unchanging(self) -> Iterator[object]:
        """Yield what nobody changes in place: kinds, stored objects, and the events of the history."""
        yield from KINDS
        yield from self._history
        yield from (item for _, item in self.all())

    def put(self, kind: Kind, item: JsonObject) -> JsonObject:
        """Keep `item` under a new resourceVersion and return it."""
        metadata = item["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        before = self._objects[kind].get(key)
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        self._objects[kind][key] = item
        self._tell(Change(self.version, "MODIFIED" if before else "ADDED", kind, before, item))
        return item

    def remove(self, kind: Kind, item: JsonObject) -> JsonObject:
        """Forget the object; its last form carries the version of its removal."""
        metadata = item["metadata"]
        before = self._objects[kind].pop((metadata.get("namespace", ""), metadata["name"]))
        self.version += 1
        last = clone(before)
        last["metadata"]["resourceVersion"] = str(self.version)
        self._tell(Change(self.version, "DELETED", kind, before, last))
        return last

    def since(self, version: int) -> Changes | None:
        """Return the changes after `version`, or None where they are no longer kept."""
        if (
            self._history
            and version + 1 < self._history[0].version
            and len(self._history) == HISTORY
        ):
            return None
        found: Changes = []
        for change in reversed(self._history):
            if change.version <= version:
                break
            found.append(change)
        return found[::-1]

    def _tell(self, change: Change) -> None:
        self._history.append(change)
        for listener in self._listeners:
            listener(change)
        self.changed.notify_all()
