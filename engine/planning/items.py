"""The items of a foreach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.language.program import Foreach
from engine.language.templates import render

MAX_ITEMS = 100_000
DONE_ALREADY = "done already"  # begins the reason why an item that another run did is left out


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
