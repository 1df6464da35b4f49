"""Objects as maps of field paths: `spec.template.spec.containers[name=app].image`. Pure functions.

A field that is not there is None: Kubernetes keeps no nulls.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from engine.domain.canonical import JsonObject, digest

KEY = "stanch.dev/last-key"  # the annotation by which a change is recognised after a crash
# A step of a path: a map's key, a list's element by its merge key, or by its place.
Step = str | tuple[str, Any] | int
Path = tuple[Step, ...]
Fields = dict[Path, Any]

_MERGE_KEYS = ("name", "containerPort", "mountPath", "devicePath", "ip", "port", "type")
_PLAIN = re.compile(r"[A-Za-z0-9_-]+\Z")
# What the server and its controllers keep for themselves.
_OWN_METADATA = {
    "resourceVersion",
    "generation",
    "managedFields",
    "uid",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
}
_OWN_ANNOTATIONS = {KEY, "deployment.kubernetes.io/revision"}


def merge_key(items: list[Any]) -> str | None:
    """Return the key by which the elements of a list are told apart, or None: the list is one value."""
    if not items or not all(isinstance(item, dict) for item in items):
        return None
    for key in _MERGE_KEYS:
        values = [item.get(key) for item in items]
        if all(isinstance(value, str | int) for value in values) and len(set(values)) == len(items):
            return key
    return None


def flatten(value: Any, path: Path = ()) -> Fields:
    """Return every leaf of an object by its path; empty maps and lists are leaves."""
    if isinstance(value, dict) and value:
        found: Fields = {}
        for key, item in value.items():
            found |= flatten(item, (*path, key))
        return found
    if isinstance(value, list) and (key_name := merge_key(value)):
        found = {}
        for item in value:
            found |= flatten(item, (*path, (key_name, item[key_name])))
        return found
    return {path: value}


def wanted_fields(value: JsonObject) -> Fields:
    """Return an object's leaves without status, times, versions and what controllers write."""
    return {path: leaf for path, leaf in flatten(value).items() if not _own(path)}


def _own(path: Path) -> bool:
    head = path[0] if path else ""
    if head in ("status", "apiVersion", "kind") or "creationTimestamp" in path:
        return True
    if head != "metadata" or len(path) < 2:
        return False
    if path[1] == "annotations" and len(path) > 2:
        return path[2] in _OWN_ANNOTATIONS
    return path[1] in _OWN_METADATA


def write(path: Path) -> str:
    """Write a path as people read it."""
    text = ""
    for step in path:
        if isinstance(step, tuple):
            text += f"[{step[0]}={step[1]}]"
        elif isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.match(step):
            text += f".{step}" if text else step
        else:
            text += f"[{step}]"
    return text


def as_json(path: Path) -> list[Any]:
    return [list(step) if isinstance(step, tuple) else step for step in path]


def from_json(steps: Iterable[Any]) -> Path:
    return tuple((step[0], step[1]) if isinstance(step, list) else step for step in steps)


def look(value: Any, path: Path) -> Any:
    """Return what stands at `path`, or None."""
    for step in path:
        if isinstance(step, tuple):
            items = value if isinstance(value, list) else []
            value = next(
                (item for item in items if isinstance(item, dict) and item.get(step[0]) == step[1]),
                None,
            )
        elif isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
        if value is None:
            return None
    return value


def differing(before: JsonObject, after: JsonObject) -> set[Path]:
    """Return the paths whose leaves differ between two objects."""
    old, new = wanted_fields(before), wanted_fields(after)
    return {path for path in {*old, *new} if old.get(path) != new.get(path)}


def patched_paths(patch: Any, live: JsonObject, result: JsonObject) -> set[Path]:
    """Return the leaf paths that a merge or strategic merge patch names."""
    found: set[Path] = set()
    for path in flatten(_without_directives(patch)):
        if not path or _own(path):
            continue
        if look(live, path) is None and look(result, path) is None:
            continue  # it deletes what is not there
        for source in (live, result):
            here = look(source, path)
            if here is not None:
                found |= {each for each in flatten(here, path) if not _own(each)}
    return found


def _without_directives(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get("$patch") == "delete":
            return {}
        return {
            key: _without_directives(item)
            for key, item in value.items()
            if not (isinstance(key, str) and key.startswith("$"))
        }
    if isinstance(value, list):
        return [
            _without_directives(item)
            for item in value
            if not (isinstance(item, dict) and "$patch" in item)
        ]
    return value


def pointed_paths(operations: Any, live: JsonObject, result: JsonObject) -> set[Path]:
    """Return the leaf paths that a JSON patch writes, list places turned into merge keys."""
    found: set[Path] = set()
    for operation in operations:
        if operation.get("op") == "test":
            continue
        for text in (operation.get("path"), operation.get("from")):
            path = _resolve(str(text or ""), live)
            if not path or _own(path):
                continue
            for source in (live, result):
                here = look(source, path)
                if here is not None:
                    found |= {each for each in flatten(here, path) if not _own(each)}
    return found


def _resolve(pointer: str, live: JsonObject) -> Path:
    here: Any = live
    steps: list[Step] = []
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(here, list):
            key = merge_key(here)
            if key is None or not name.isdigit() or int(name) >= len(here):
                return tuple(steps)  # the whole list is the value
            steps.append((key, here[int(name)][key]))
            here = here[int(name)]
        else:
            steps.append(name)
            here = here.get(name) if isinstance(here, dict) else None
    return tuple(steps)


def restored(live: JsonObject, values: Mapping[Path, Any]) -> JsonObject:
    """Return a copy of `live` in which each path holds its value again; None takes it away."""
    result = copy.deepcopy(live)
    gone = {path for path, value in values.items() if value is None}
    back = {path: value for path, value in values.items() if value is not None}
    kept = {path[:length] for path in back for length in range(len(path))}
    for path in sorted(gone - kept, key=len):
        # An element whose own key goes, goes as a whole.
        element = next(
            (
                path[: index + 1]
                for index, step in enumerate(path)
                if isinstance(step, tuple) and (*path[: index + 1], step[0]) in gone
            ),
            None,
        )
        _remove(result, element or path)
    for path, value in sorted(back.items(), key=lambda item: len(item[0])):
        if value in ({}, []) and isinstance(look(result, path), dict | list):
            continue  # what is left in it is somebody else's
        _set(result, path, value)
    return result


def _set(value: Any, path: Path, leaf: Any) -> None:
    for index, step in enumerate(path):
        last = index == len(path) - 1
        following = None if last else path[index + 1]
        fresh: Any = leaf if last else ([] if isinstance(following, tuple | int) else {})
        if isinstance(step, tuple):
            found = next((item for item in value if item.get(step[0]) == step[1]), None)
            if found is None:
                found = {step[0]: step[1]}
                value.append(found)
            value = found
        elif isinstance(step, int):
            if last:
                value[step] = copy.deepcopy(leaf)
                return
            value = value[step]
        else:
            if last:
                value[step] = copy.deepcopy(leaf)
                return
            if not isinstance(value.get(step), dict | list) or not value[step]:
                value[step] = fresh
            value = value[step]


def _remove(value: Any, path: Path) -> None:
    parents: list[tuple[Any, Step]] = []
    for step in path[:-1]:
        following = look(value, (step,))
        if following is None:
            return
        parents.append((value, step))
        value = following
    last = path[-1]
    if isinstance(last, tuple) and isinstance(value, list):
        value[:] = [item for item in value if item.get(last[0]) != last[1]]
    elif isinstance(value, dict) and isinstance(last, str):
        value.pop(last, None)
    # What was emptied by this was made by the change: an empty map is no value of its own.
    for parent, step in reversed(parents):
        if value in ({}, []) and isinstance(parent, dict) and isinstance(step, str):
            parent.pop(step)
            value = parent
        else:
            return


def merge_difference(live: Any, wanted: Any) -> Any:
    """Return the JSON merge patch that turns `live` into `wanted`; lists are replaced as a whole."""
    patch: JsonObject = {}
    for key in {*live, *wanted}:
        if key not in wanted:
            patch[key] = None
        elif key not in live or live[key] != wanted[key]:
            both = isinstance(live.get(key), dict) and isinstance(wanted[key], dict)
            patch[key] = merge_difference(live[key], wanted[key]) if both else wanted[key]
    return patch


def veil(kind: str, uid: str, path: Path, value: Any) -> Any:
    """Return a value as plans and journals may hold it: a secret's only as a salted digest."""
    if kind != "Secret" or value is None or not path or path[0] not in ("data", "stringData"):
        return value
    return f"(secret, digest {digest([uid, as_json(path), value])[:12]})"


def masked(item: JsonObject) -> JsonObject:
    """Return an object as a read may show it: without managedFields, a Secret's values masked."""
    shown = {key: value for key, value in item.items() if key not in ("data", "stringData")}
    metadata = {
        key: value for key, value in (item.get("metadata") or {}).items() if key != "managedFields"
    }
    if item.get("kind") != "Secret":
        return {**item, "metadata": metadata}
    annotations = metadata.get("annotations") or {}
    # kubectl keeps the whole applied object, values included, in this annotation.
    kept = {
        key: value
        for key, value in annotations.items()
        if key != "kubectl.kubernetes.io/last-applied-configuration"
    }
    if annotations:
        metadata["annotations"] = kept
    values = dict.fromkeys(
        {**(item.get("data") or {}), **(item.get("stringData") or {})}, "(secret)"
    )
    return {**shown, "metadata": metadata, "data": values}
