"""The three patches: JSON merge patch, JSON patch and strategic merge patch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.domain.canonical import JsonObject
from worlds.cluster import schema
from worlds.cluster.status import bad_request, rejected
from worlds.cluster.values import clone

# The key that identifies an element of a list, by the element's type; a list whose elements have
# none is replaced as a whole.
_MERGE_KEYS = {
    "Container": "name",
    "EphemeralContainer": "name",
    "Volume": "name",
    "EnvVar": "name",
    "ContainerPort": "containerPort",
    "ServicePort": "port",
    "VolumeMount": "mountPath",
    "VolumeDevice": "devicePath",
    "LocalObjectReference": "name",
    "HostAlias": "ip",
    "OwnerReference": "uid",
    "TopologySpreadConstraint": "topologyKey",
    "PodIP": "ip",
    "PodResourceClaim": "name",
    "ContainerResizePolicy": "resourceName",
}
_PRIMITIVE_MERGE = {"finalizers"}


def merge_key(kind: str) -> str | None:
    """Return the merge key of a list whose elements are of type `kind`."""
    if kind.endswith("Condition"):
        return "type"
    return _MERGE_KEYS.get(kind)


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply an RFC 7396 merge patch and return the result; `target` is left alone."""
    if not isinstance(patch, dict):
        return clone(patch)
    result: JsonObject = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: Any, operations: Any) -> Any:
    """Apply an RFC 6902 patch and return the result.

    Raises:
        ApiError: 400 where it is no such patch, 422 where it does not apply.
    """
    if not isinstance(operations, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    document = clone(target)
    for operation in operations:
        document = _operate(document, operation)
    return document


def _operate(document: Any, operation: JsonObject) -> Any:
    name, path = operation.get("op"), _pointer(operation.get("path", ""))
    if name == "test":
        if _lookup(document, path) != operation.get("value"):
            raise rejected()
        return document
    if name in ("add", "replace"):
        if name == "replace":
            _lookup(document, path)
        return _put(document, path, clone(operation.get("value")), insert=name == "add")
    if name == "remove":
        return _remove(document, path)
    if name in ("move", "copy"):
        source = _pointer(operation.get("from", ""))
        value = clone(_lookup(document, source))
        if name == "move":
            document = _remove(document, source)
        return _put(document, path, value, insert=True)
    raise bad_request(f"Unexpected kind: {name}")


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _index(items: Sequence[Any], part: str, *, end: bool = False) -> int:
    if part == "-" and end:
        return len(items)
    if not part.isdigit() or int(part) >= len(items) + end:
        raise rejected()
    return int(part)


def _lookup(document: Any, path: Sequence[str]) -> Any:
    for part in path:
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list):
            document = document[_index(document, part)]
        else:
            raise rejected()
    return document


def _put(document: Any, path: Sequence[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    parent = _lookup(document, path[:-1])
    if isinstance(parent, dict):
        parent[path[-1]] = value
    elif isinstance(parent, list):
        at = _index(parent, path[-1], end=insert)
        parent[at : at if insert else at + 1] = [value]
    else:
        raise rejected()
    return document


def _remove(document: Any, path: Sequence[str]) -> Any:
    parent = _lookup(document, path[:-1])
    _lookup(document, path)
    if isinstance(parent, dict):
        del parent[path[-1]]
    else:
        del parent[_index(parent, path[-1])]
    return document


def strategic_merge(target: Any, patch: Any, kind: str) -> Any:
    """Apply a strategic merge patch to an object of type `kind` and return the result.

    Raises:
        ApiError: 400: a list element without its merge key, or an unknown `$patch` directive.
    """
    if not isinstance(patch, dict):
        return clone(patch)
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: clone(value) for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise bad_request(f"Unknown patch type found: {directive}")
    fields = schema.types().get(kind, {})
    result: JsonObject = dict(target) if isinstance(target, dict) else {}
    _retain(result, patch)
    _delete_primitives(result, patch)
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        inner = schema.element(kind) if kind.startswith("{") else fields.get(key, "any")
        if value is None:
            result.pop(key, None)
        elif isinstance(value, list):
            result[key] = _merge_list(result.get(key) or [], value, inner, key)
        else:
            result[key] = strategic_merge(result.get(key), value, inner)
    _reorder(result, patch, fields)
    return result


def _retain(result: JsonObject, patch: JsonObject) -> None:
    keep = patch.get("$retainKeys")
    if keep is not None:
        for key in set(result) - set(keep):
            del result[key]


def _delete_primitives(result: JsonObject, patch: JsonObject) -> None:
    prefix = "$deleteFromPrimitiveList/"
    for directive, values in patch.items():
        if directive.startswith(prefix):
            key = directive.removeprefix(prefix)
            result[key] = [item for item in result.get(key) or [] if item not in values]


def _merge_list(current: list[Any], patch: list[Any], kind: str, field: str) -> list[Any]:
    inner = schema.element(kind) if kind.startswith("[") else "any"
    key = merge_key(inner)
    if field in _PRIMITIVE_MERGE:
        return current + [item for item in patch if item not in current]
    if key is None:
        return clone(patch)
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [clone(item) for item in patch if item.get("$patch") != "replace"]
    result = list(current)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        at = next((i for i, have in enumerate(result) if have.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(strategic_merge({}, item, inner))
        else:
            result[at] = strategic_merge(result[at], item, inner)
    return result


def _reorder(result: JsonObject, patch: JsonObject, fields: dict[str, str]) -> None:
    prefix = "$setElementOrder/"
    for directive, order in patch.items():
        if not directive.startswith(prefix):
            continue
        field = directive.removeprefix(prefix)
        key = merge_key(schema.element(fields.get(field, "[any]")))
        ranks = [item.get(key) if isinstance(item, dict) else item for item in order]

        def rank(item: Any, key: str | None = key, ranks: list[Any] = ranks) -> int:
            name = item.get(key) if isinstance(item, dict) and key else item
            return ranks.index(name) if name in ranks else len(ranks)

        result[field] = sorted(result.get(field) or [], key=rank)
