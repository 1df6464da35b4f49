"""Copies of JSON values."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def clone(value: T) -> T:
    """Return a deep copy of JSON data; several times as fast as the general deep copy."""
    copied: Any = _clone(value)
    result: T = copied
    return result


def _clone(value: Any) -> Any:
    if type(value) is dict:
        return {key: _clone(item) for key, item in value.items()}
    if type(value) is list:
        return [_clone(item) for item in value]
    return value
