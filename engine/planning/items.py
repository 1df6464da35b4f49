"""The items of a foreach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.language.program import Foreach
from engine.language.templates import render

MAX_ITEMS = 100_000
# What the reasons begin with why an item is left out: another run did it, or is at it.
DONE_ALREADY, UNDER_WAY = "done already", "under way elsewhere"


def items_of(foreach: Foreach, scope: Mapping[str, Any]) -> list[JsonObject]:
    """Return `[{key, item}]` in input order.

    Raises:
        InvalidInput: not a list, too long, or two items with one key.
    """
    values = render(foreach.items, scope)
    if not isinstance(values, list | tuple):
        raise InvalidInput(f"needs a list, found {type(values).__name__}")
    if len(values) > MAX_ITEMS:
        raise InvalidInput(f"{len(values)} items are more than {MAX_ITEMS}")
    result: list[JsonObject] = []
    seen: set[str] = set()
    for place, item in enumerate(values):
        key = str(place)
        if foreach.key is not None:
            key = str(render(foreach.key, {**scope, "item": item}))
        if key in seen:
            raise InvalidInput(f"two items have the key {key!r}; keys name items and must differ")
        seen.add(key)
        result.append({"key": key, "item": item})
    return result


def left_out(reasons: Iterable[str]) -> str:
    """Say how many items were left to other runs; empty: none."""
    given = list(reasons)
    done = sum(reason.startswith(DONE_ALREADY) for reason in given)
    busy = sum(reason.startswith(UNDER_WAY) for reason in given)
    parts = [f"{done} items were done already by other runs"] if done else []
    parts += [f"{busy} items are under way in other runs"] if busy else []
    return ", ".join(parts)
