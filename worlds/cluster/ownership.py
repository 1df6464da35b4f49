"""Who owns which field (managedFields), and server-side apply, which rests on it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from engine.domain.canonical import JsonObject
from worlds.cluster import schema
from worlds.cluster.kinds import Kind
from worlds.cluster.patches import merge_key
from worlds.cluster.status import failure
from worlds.cluster.values import clone

Path = tuple[str, ...]
_SYSTEM = {
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
    "selfLink",
}


def leaves(value: Any, kind: str, path: Path = ()) -> dict[Path, Any]:
    """Return every leaf by its path in the form of `fieldsV1` (`f:spec`, `k:{"name":"app"}`)."""
    found: dict[Path, Any] = {}
    if isinstance(value, dict) and value and (kind in schema.types() or kind.startswith("{")):
        fields = schema.types().get(kind)
        for key, item in value.items():
            if not path and key in ("apiVersion", "kind", "status"):
                continue
            if path == ("f:metadata",) and key in _SYSTEM:
                continue
            inner = fields.get(key, "any") if fields else schema.element(kind)
            found |= leaves(item, inner, (*path, f"f:{key}"))
    elif isinstance(value, list) and value and (key_name := _list_key(kind)):
        for item in value:
            label = json.dumps({key_name: item.get(key_name)}, separators=(",", ":"))
            found |= leaves(item, schema.element(kind), (*path, f"k:{label}"))
    else:
        found[path] = value
    return found


def _list_key(kind: str) -> str | None:
    return merge_key(schema.element(kind)) if kind.startswith("[") else None


def as_fields(paths: Iterable[Path]) -> JsonObject:
    """Nest paths into `fieldsV1`; a keyed element carries the mark of itself."""
    root: JsonObject = {}
    for path in sorted(paths):
        here = root
        for part in path:
            here = here.setdefault(part, {".": {}} if part.startswith("k:") else {})
    return root


def as_paths(fields: JsonObject, path: Path = ()) -> set[Path]:
    """The inverse of `as_fields`."""
    inner = {key: value for key, value in fields.items() if key != "."}
    if not inner:
        return {path} if path else set()
    found: set[Path] = set()
    for key, value in inner.items():
        found |= as_paths(value, (*path, key))
    return found


def record(
    kind: Kind, before: JsonObject | None, after: JsonObject, manager: str, now: str
) -> None:
    """Note in `after.metadata.managedFields` that `manager` set what differs from `before`."""
    old = leaves(before, kind.schema) if before else {}
    new = leaves(after, kind.schema)
    changed = {path for path, value in new.items() if path not in old or old[path] != value}
    if not changed and set(old) <= set(new):
        return
    entries: list[JsonObject] = []
    mine: set[Path] = set(changed)
    for entry in (before or {}).get("metadata", {}).get("managedFields") or []:
        paths = as_paths(entry["fieldsV1"])
        if entry["manager"] == manager and entry["operation"] == "Update":
            mine |= paths & set(new)
        elif kept := (paths - changed) & set(new):
            entries.append({**entry, "fieldsV1": as_fields(kept)})
    if mine:
        entries.append(_entry(kind, manager, "Update", mine, now))
    after["metadata"]["managedFields"] = entries


def _entry(kind: Kind, manager: str, operation: str, paths: set[Path], now: str) -> JsonObject:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": kind.api_version,
        "time": now,
        "fieldsType": "FieldsV1",
        "fieldsV1": as_fields(paths),
    }


def apply(
    kind: Kind, live: JsonObject | None, config: JsonObject, manager: str, now: str, *, force: bool
) -> JsonObject:
    """Merge an applied configuration into the live object and return the result.

    Raises:
        ApiError: 409: another manager owns a field that the configuration would change.
    """
    base = clone(live) if live else {"metadata": {}}
    wanted = leaves(config, kind.schema)
    current = leaves(base, kind.schema)
    entries: list[JsonObject] = base["metadata"].get("managedFields") or []
    others = [
        entry for entry in entries if (entry["manager"], entry["operation"]) != (manager, "Apply")
    ]
    taken = {path for path, value in wanted.items() if path in current and current[path] != value}
    conflicts = [
        (entry, path) for entry in others for path in sorted(as_paths(entry["fieldsV1"]) & taken)
    ]
    if conflicts and not force:
        raise _conflict(conflicts)
    held = {path for entry in others for path in as_paths(entry["fieldsV1"])}
    previous = {
        path
        for entry in entries
        if (entry["manager"], entry["operation"]) == (manager, "Apply")
        for path in as_paths(entry["fieldsV1"])
    }
    for path in previous - set(wanted) - held:
        _drop(base, path)
    result: JsonObject = _merge(base, config, kind.schema)
    kept = []
    for entry in others:
        paths = as_paths(entry["fieldsV1"]) - (taken if force else set())
        if paths:
            kept.append({**entry, "fieldsV1": as_fields(paths)})
    kept.append(_entry(kind, manager, "Apply", set(wanted), now))
    result["metadata"]["managedFields"] = kept
    return result


def _conflict(conflicts: list[tuple[JsonObject, Path]]) -> Exception:
    causes = []
    for entry, path in conflicts:
        using = f" using {entry['apiVersion']}" if entry["operation"] == "Update" else ""
        message = f'conflict with "{entry["manager"]}"{using}'
        causes.append(
            {"reason": "FieldManagerConflict", "message": message, "field": _dotted(path)}
        )
    if len(causes) == 1:
        text = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        lines = "\n".join(f"- {cause['message']}: {cause['field']}" for cause in causes)
        text = f"Apply failed with {len(causes)} conflicts:\n{lines}"
    return failure(409, "Conflict", text, {"causes": causes})


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        if part.startswith("k:"):
            pairs = json.loads(part[2:])
            text += "[" + ",".join(f"{k}={json.dumps(v)}" for k, v in pairs.items()) + "]"
        else:
            text += f".{part[2:]}"
    return text


def _merge(live: Any, config: Any, kind: str) -> Any:
    if isinstance(config, dict) and (kind in schema.types() or kind.startswith("{")):
        result: JsonObject = dict(live) if isinstance(live, dict) else {}
        fields = schema.types().get(kind)
        for key, value in config.items():
            inner = fields.get(key, "any") if fields else schema.element(kind)
            result[key] = _merge(result.get(key), value, inner)
        return result
    if isinstance(config, list) and isinstance(live, list) and (key_name := _list_key(kind)):
        items = list(live)
        for item in config:
            name = item.get(key_name)
            at = next((i for i, have in enumerate(items) if have.get(key_name) == name), None)
            if at is None:
                items.append(clone(item))
            else:
                items[at] = _merge(items[at], item, schema.element(kind))
        return items
    return clone(config)


def _drop(value: Any, path: Path) -> None:
    for depth, part in enumerate(path):
        last = depth == len(path) - 1
        if part.startswith("k:") and isinstance(value, list):
            ((key, wanted),) = json.loads(part[2:]).items()
            found = next((item for item in value if item.get(key) == wanted), None)
            if found is None:
                return
            if last or (len(path) == depth + 2 and path[-1] == f"f:{key}"):
                value.remove(found)
                return
            value = found
        elif isinstance(value, dict) and part[2:] in value:
            if last:
                del value[part[2:]]
                return
            value = value[part[2:]]
        else:
            return
