"""What others last changed on an object, as its managedFields tell."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from actions.kubernetes.client import MANAGER
from engine.contract import FreshChange
from engine.domain.canonical import JsonObject

_MOST = 5  # managers that are told, and fields of each


def others_changes(live: JsonObject) -> tuple[FreshChange, ...]:
    """Return what other field managers set, newest first; what they wrote into the status is left out."""
    found: list[FreshChange] = []
    for entry in live.get("metadata", {}).get("managedFields") or ():
        at = _time(entry.get("time"))
        manager = str(entry.get("manager") or "somebody")
        if at is None or manager == MANAGER or entry.get("subresource") == "status":
            continue
        names = _names(entry.get("fieldsV1") or {})
        if names:
            found.append(FreshChange(manager, at, ", ".join(names[:_MOST])))
    return latest(found)


def latest(found: Iterable[FreshChange]) -> tuple[FreshChange, ...]:
    """Return the newest ones, newest first."""
    return tuple(sorted(found, key=lambda change: change.at, reverse=True)[:_MOST])


def _time(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def _names(fields: JsonObject, prefix: str = "") -> list[str]:
    """Return the paths of a fieldsV1, short: list items and map keys end one."""
    names: list[str] = []
    for key, inner in fields.items():
        if not key.startswith("f:") or (not prefix and key == "f:status"):
            continue
        name = f"{prefix}{key[2:]}"
        deeper = _names(inner, f"{name}.") if isinstance(inner, dict) else []
        names += deeper or [name]
    return names
