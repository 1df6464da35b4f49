"""Inputs of a playbook as people type them, `name=value`, on a command line or in a chat."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput


def typed_inputs(given: Iterable[str], schema: JsonObject, what: str = "--input ") -> JsonObject:
    """Return the inputs that texts of the form name=value stand for, by the playbook's schema.

    Raises:
        InvalidInput: one is not of that form; `what` is written before it.
    """
    values: JsonObject = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidInput(f"{what}{text!r} is not of the form name=value")
        values[name] = typed(value, schema.get("properties", {}).get(name, {}))
    return values


def typed(text: str, schema: JsonObject) -> Any:
    """Return the value that a typed text stands for: text where the schema says string, else JSON.

    What is neither stays text, and the schema then says what is wrong with it.
    """
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "string" in kinds and set(kinds) <= {"string", "null"}:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
