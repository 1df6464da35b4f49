"""What reads at providers share: the request as target and right, and answers held to their shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from actions.http.connection import HttpClient
from engine.contract import ActionFailed, Category, Grant, Target, World
from engine.domain.canonical import JsonObject


def targets(connection: str, paths: Iterable[str]) -> tuple[Target, ...]:
    """Return the GETs of these paths as targets."""
    return tuple(Target(connection, f"GET {path}") for path in paths)


def grants(connection: str, paths: Iterable[str]) -> tuple[Grant, ...]:
    """Return the GETs of these paths as rights."""
    return tuple(Grant(connection, "http", {"method": "GET", "path": path}) for path in paths)


def fetch(
    world: World, connection: str, path: str, wanted: str, query: Mapping[str, Any] | None = None
) -> JsonObject:
    """Get a JSON object that has the field `wanted`.

    Raises:
        ActionFailed: classified; (configuration) it is something else, so the URL is another service's.
    """
    answer = world.client(connection, HttpClient).send("GET", path, query=query)
    if not isinstance(answer.body, dict) or wanted not in answer.body:
        what = f"GET {path}: the answer has no {wanted!r}; is the connection's url this provider's?"
        raise ActionFailed(Category.CONFIGURATION, what, effect_possible=False)
    return answer.body


def text_of(value: Any, limit: int = 300) -> str:
    """Return a provider's word as bounded text on one line; nothing for None."""
    return "" if value is None else " ".join(str(value).split())[:limit]


def time_of(value: Any) -> str | None:
    """Return a Unix time as RFC 3339, None where there is none."""
    from datetime import UTC, datetime

    from engine.domain.clock import format_time

    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
        return None
    return format_time(datetime.fromtimestamp(value, UTC))
