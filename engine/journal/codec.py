"""How values are written in the database: times as whole microseconds, JSON as canonical text."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import orjson

from engine.domain.canonical import Json

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def micros(value: datetime) -> int:
    """Return an aware time as microseconds since the epoch (whole numbers, so that nothing is rounded)."""
    return (value - EPOCH) // _TICK


def maybe_micros(value: datetime | None) -> int | None:
    return None if value is None else micros(value)


def instant(value: int) -> datetime:
    """The inverse of `micros`, in UTC."""
    return EPOCH + timedelta(microseconds=value)


def maybe_instant(value: int | None) -> datetime | None:
    return None if value is None else instant(value)


def dumps(value: Json) -> str:
    """Return JSON with sorted keys and no spaces.

    orjson writes nearly everything. What it refuses (integers beyond 64 bits, lone surrogates that a
    sender smuggled in by escapes) the standard library writes, escaped, so that no accepted text is lost;
    a space before it says that the standard library must read it too (orjson would round the integers).
    NaN and infinities become null: JSON has no such numbers.

    Raises:
        TypeError: `value` holds something that is not JSON.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        return " " + json.dumps(value, sort_keys=True, separators=(",", ":"))


def loads(text: str) -> Json:
    """The inverse of `dumps`."""
    return json.loads(text) if text.startswith(" ") else orjson.loads(text)


def clean(text: str) -> str:
    """Return text that every database can hold: NUL and lone surrogates become U+FFFD.

    Only for columns that are compared with text from outside; JSON columns escape them instead.
    """
    if text.isascii() and "\x00" not in text:
        return text
    return (
        text.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )
