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


class Watch:
    """A watch: what is there first where no version was named, then what changes.

    Iterating waits for changes until the time is over; `pending` tells what there is now. The end by time is
    told by a bookmark where the watcher takes one.

    Raises:
        ApiError: 400 or 410, when it is made.
    """

    def __init__(
        self, store: Store, call: Call, request: Request, stopped: Callable[[], bool]
    ) -> None:
        query = request.query
        self._store, self._call, self._stopped = store, call, stopped
        self._chosen = selection(call.kind, query)
        self._bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        self._first: list[JsonObject] = []
        self._lost = False
        text = query.get("resourceVersion") or "0"
        with store.changed:
            self._version = store.version
            if text == "0":
                found = store.list(call.kind, call.namespace or None)
                self._first = [item for item in found if self._chosen(item)]
            else:
                self._version = int(text) if text.isdigit() else 0
                if store.since(self._version) is None:
                    raise gone(f"too old resource version: {text} ({store.version})")
        self._end = time.monotonic() + (_number(query, "timeoutSeconds") or 1800)

    def pending(self) -> list[bytes]:
        """Return the events that nobody was told of yet, without waiting."""
        lines = [_line("ADDED", item) for item in self._first]
        self._first = []
        with self._store.changed:
            changes = self._store.since(self._version)
        if changes is None:
            self._lost = True
            return [*lines, _line("ERROR", _as_status(self._version))]
        for change in changes:
            self._version = change.version
            seen = _seen(change, self._call, self._chosen)
            if seen:
                lines.append(_line(seen, change.after))
        return lines

    def __iter__(self) -> Iterator[bytes]:
        while not self._stopped():
            yield from self.pending()
            left = self._end - time.monotonic()
            if self._lost:
                return
            if left <= 0:
                if self._bookmarks:
                    yield _line("BOOKMARK", self._bookmark())
                return
            with self._store.changed:
                if self._store.since(self._version) == []:
                    self._store.changed.wait(min(left, 0.5))

    def _bookmark(self) -> JsonObject:
        kind = self._call.kind
        metadata = {"resourceVersion": str(self._version)}
        return {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}


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
