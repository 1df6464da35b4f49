"""Lists with their selectors and pages, and watches."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from engine.domain.canonical import JsonObject
from worlds.cluster.kinds import Kind
from worlds.cluster.messages import Call, Request
from worlds.cluster.selectors import field_selector, label_selector
from worlds.cluster.status import bad_request, gone
from worlds.cluster.store import Change, Store

Filter = Callable[[JsonObject], bool]
TOO_OLD = "The provided continue parameter is too old to display a consistent list result."


def selection(kind: Kind, query: Any) -> Filter:
    """Return the predicate of a request's label and field selectors.

    Raises:
        ApiError: 400.
    """
    labels = label_selector(query.get("labelSelector") or "")
    fields = field_selector(query.get("fieldSelector") or "", kind.kind)
    return lambda item: labels(item["metadata"].get("labels") or {}) and fields(item)


def listing(store: Store, call: Call, request: Request) -> JsonObject:
    """Return the list object that answers a GET of a collection.

    Raises:
        ApiError: 400 for a selector or a page token that cannot be read.
    """
    kind, query = call.kind, request.query
    chosen = selection(kind, query)
    items = [item for item in store.list(kind, call.namespace or None) if chosen(item)]
    metadata: JsonObject = {"resourceVersion": str(store.version)}
    if token := query.get("continue"):
        version, start = _read_token(token)
        metadata["resourceVersion"] = str(version)
        items = [item for item in items if _key(item, call.namespace) >= start]
    limit = _number(query, "limit")
    if limit and len(items) > limit:
        left, items = len(items) - limit, items[:limit]
        last = _key(items[-1], call.namespace)
        metadata["continue"] = _token(int(metadata["resourceVersion"]), last + "\0")
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            metadata["remainingItemCount"] = left
    return {
        "kind": f"{kind.kind}List",
        "apiVersion": kind.api_version,
        "metadata": metadata,
        "items": [bare(item) for item in items],
    }


def bare(item: JsonObject) -> JsonObject:
    """Return the object as it stands in a list, without its kind."""
    return {key: value for key, value in item.items() if key not in ("kind", "apiVersion")}


def _key(item: JsonObject, namespace: str) -> str:
    home = item["metadata"].get("namespace", "")
    name: str = item["metadata"]["name"]
    return f"/{name}" if namespace or not home else f"/{home}/{name}"


def _number(query: Any, name: str) -> int:
    text = query.get(name) or "0"
    if not text.isdigit():
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _token(version: int, start: str) -> str:
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, str]:
    try:
        padded = token + "=" * (-len(token) % 4)
        value = json.loads(base64.urlsafe_b64decode(padded))
        return int(value["rv"]), str(value["start"])
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"continue key is not valid: {error}") from error


def watch(
    store: Store, call: Call, request: Request, stopped: Callable[[], bool]
) -> Iterator[bytes]:
    """Return the stream of a watch: what is there first where no version is named, then what changes.

    Raises:
        ApiError: 400 or 410, before the stream begins.
    """
    query = request.query
    chosen = selection(call.kind, query)
    limit = _number(query, "timeoutSeconds") or 1800
    text = query.get("resourceVersion") or "0"
    with store.changed:
        version = store.version
        first: list[JsonObject] = []
        if text == "0":
            first = [item for item in store.list(call.kind, call.namespace or None) if chosen(item)]
        else:
            version = int(text) if text.isdigit() else 0
            if store.since(version) is None:
                raise gone(f"too old resource version: {version} ({store.version})")
    end = time.monotonic() + limit

    def left() -> float:
        return 0.0 if stopped() else end - time.monotonic()

    return _events(store, call, chosen, first, version=version, left=left)


def _events(
    store: Store,
    call: Call,
    chosen: Filter,
    first: list[JsonObject],
    *,
    version: int,
    left: Callable[[], float],
) -> Iterator[bytes]:
    for item in first:
        yield _line("ADDED", item)
    while (seconds := left()) > 0:
        with store.changed:
            changes = store.since(version)
            if changes == []:
                store.changed.wait(min(seconds, 0.5))
                changes = store.since(version)
        if changes is None:
            yield _line("ERROR", _as_status(version))
            return
        for change in changes:
            version = change.version
            seen = _seen(change, call, chosen)
            if seen:
                yield _line(seen, change.after)


def _as_status(version: int) -> JsonObject:
    body = gone(f"too old resource version: {version}").body
    assert isinstance(body, dict)
    return body


def _seen(change: Change, call: Call, chosen: Filter) -> str | None:
    """Return the event type as a selecting watcher sees it: leaving the selection is DELETED."""
    if change.kind != call.kind:
        return None
    if call.namespace and change.after["metadata"].get("namespace") != call.namespace:
        return None
    if call.name and change.after["metadata"]["name"] != call.name:
        return None
    now = change.type != "DELETED" and chosen(change.after)
    before = change.before is not None and chosen(change.before)
    if change.type == "DELETED":
        return "DELETED" if before else None
    if now:
        return "MODIFIED" if before else "ADDED"
    return "DELETED" if before else None


def _line(kind: str, item: JsonObject) -> bytes:
    return json.dumps({"type": kind, "object": item}, separators=(",", ":")).encode() + b"\n"
