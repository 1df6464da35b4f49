"""Field types that parameters and settings share: seconds, bytes."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:ms|s|m|h|d))+\Z")
_PART = re.compile(r"(\d+)(ms|s|m|h|d)")
_SIZES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_SIZE = re.compile(r"(\d+)(k|M|G|Ki|Mi|Gi)?\Z")


def seconds(value: Any) -> Any:
    """Turn `90s` or `1h30m` into seconds; numbers pass; other text is refused.

    Raises:
        ValueError: the text is no duration.
    """
    if not isinstance(value, str):
        return value
    if not _DURATION.match(value):
        raise ValueError(f"{value!r} is not a duration; write for example 30s, 15m or 4h")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(value))


def size(value: Any) -> Any:
    """Turn `4Mi` into bytes; numbers pass; other text is refused.

    Raises:
        ValueError: the text is no size.
    """
    if not isinstance(value, str):
        return value
    match = _SIZE.match(value)
    if match is None:
        raise ValueError(f"{value!r} is not a size; write for example 64Ki, 4Mi or 1000000")
    return int(match.group(1)) * _SIZES[match.group(2) or ""]


Seconds = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema({"type": ["number", "string"], "description": "seconds, or 90s, 15m, 4h"}),
]
Bytes = Annotated[
    int,
    BeforeValidator(size),
    WithJsonSchema({"type": ["integer", "string"], "description": "bytes, or 64Ki, 4Mi"}),
]
