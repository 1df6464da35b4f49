"""Copies of JSON values."""

from __future__ import annotations

import marshal
from typing import Any, TypeVar

T = TypeVar("T")
_PLAIN = 2


def clone(value: T) -> T:
    """Return a deep copy of JSON data; many times as fast as the general deep copy."""
    given: Any = value
    copied: Any
    try:
        # Of this form, which knows no references: what stands in two places is two afterwards.
        copied = marshal.loads(marshal.dumps(given, _PLAIN))  # noqa: S302  written this moment
    except ValueError:  # something that is no JSON, such as a text of a class of its own
        copied = _clone(value)
    result: T = copied
    return result


def _clone(value: Any) -> Any:
    if type(value) is dict:
        return {key: _clone(item) for key, item in value.items()}
    if type(value) is list:
        return [_clone(item) for item in value]
    return value
