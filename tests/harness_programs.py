"""Programs for tests, short to write."""

from __future__ import annotations

from typing import Any

from engine.domain.canonical import JsonObject
from engine.language.program import Program


def program(*steps: JsonObject, **more: Any) -> Program:
    """A program out of node JSON; `kind` is `action` unless said."""
    return Program.model_validate(
        {
            "playbook": "toys/test",
            "inputs": {"type": "object", "additionalProperties": True},
            "steps": [node(step) for step in steps],
            **{key: _nodes(value) for key, value in more.items()},
        }
    )


def node(step: JsonObject) -> JsonObject:
    return {"kind": "action", **step}


def _nodes(value: Any) -> Any:
    if isinstance(value, list):
        return [node(item) for item in value]
    return value


def setting(step: str, name: str, value: object, **more: object) -> JsonObject:
    """A `toy.set` step."""
    return {"id": step, "action": "toy.set", "with": {"name": name, "value": value}, **more}
