"""The objects, their versions, and what a watch may replay. Knows no kind's rules."""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

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
Found = list[tuple[Kind, JsonObject]]
Place = tuple[Kind, Key]


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
        self._places: dict[str, Place] = {}  # by uid
        self._dependents: dict[str, dict[Place, None]] = {}  # by the uid of an owner
        self._history: deque[Change] = deque(maxlen=HISTORY)
        self._listeners: Listeners = []

    def __deepcopy__(self, memo: dict[int, Any]) -> Store:
        """Copy what is kept, not what nobody changes in place: kinds, stored objects, past changes."""
        twin = memo[id(self)] = Store.__new__(Store)
        twin.version = self.version
        twin.changed = copy.deepcopy(self.changed, memo)
        twin._objects = {kind: dict(objects) for kind, objects in self._objects.items()}
        twin._places = dict(self._places)
        twin._dependents = {uid: dict(places) for uid, places in self._dependents.items()}
        twin._history = self._history.copy()
        twin._listeners = copy.deepcopy(self._listeners, memo)
        return twin

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

    def find(self, uid: str) -> tuple[Kind, JsonObject] | None:
        """Return the object of this uid with its kind."""
        place = self._places.get(uid)
        return None if place is None else (place[0], self._objects[place[0]][place[1]])

    def dependents(self, uid: str) -> Found:
        """Return the objects that name this uid as an owner of theirs, with their kinds."""
        return [(kind, self._objects[kind][key]) for kind, key in self._dependents.get(uid, ())]

    def unchanging(self) -> Iterator[object]:
        """Yield what nobody changes in place: kinds and stored objects."""
        yield from KINDS
        yield from (item for _, item in self.all())

    def put(self, kind: Kind, item: JsonObject) -> JsonObject:
        """Keep `item` under a new resourceVersion and return it."""
        metadata = item["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        before = self._objects[kind].get(key)
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        self._objects[kind][key] = item
        self._index((kind, key), before, item)
        self._tell(Change(self.version, "MODIFIED" if before else "ADDED", kind, before, item))
        return item

    def remove(self, kind: Kind, item: JsonObject) -> JsonObject:
        """Forget the object; its last form carries the version of its removal."""
        metadata = item["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        before = self._objects[kind].pop(key)
        self._index((kind, key), before, None)
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

    def _index(self, place: Place, before: JsonObject | None, after: JsonObject | None) -> None:
        """Keep in mind where an object lies and who owns it."""
        was, now = _owners(before), _owners(after)
        if before is not None:
            del self._places[before["metadata"]["uid"]]
        if after is not None:
            self._places[after["metadata"]["uid"]] = place
        for uid in was - now:
            places = self._dependents[uid]
            del places[place]
            if not places:
                del self._dependents[uid]
        for uid in now - was:
            self._dependents.setdefault(uid, {})[place] = None

    def _tell(self, change: Change) -> None:
        self._history.append(change)
        for listener in self._listeners:
            listener(change)
        self.changed.notify_all()


def _owners(item: JsonObject | None) -> set[str]:
    references = item["metadata"].get("ownerReferences") if item is not None else None
    return {reference["uid"] for reference in references or ()}
