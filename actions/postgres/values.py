"""PostgreSQL values as JSON, and JSON values as parameters."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from engine.domain.canonical import Json
from engine.domain.clock import format_time


def to_json(value: Any) -> Json:
    """Return one value of a row as JSON.

    Numbers that a JSON number cannot carry exactly (NaN, infinities, long numerics) become text, as do
    UUIDs, networks and ranges; times become ISO 8601 (UTC with Z where they carry a zone), intervals
    seconds, bytes base64.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | Decimal):
        return _number(value)
    if isinstance(value, datetime) and value.tzinfo:
        return format_time(value)
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [to_json(item) for item in value]
    return str(value)


def _number(value: float | Decimal) -> Json:
    if not math.isfinite(value):
        return str(value)
    if isinstance(value, float):
        return value
    if value == value.to_integral_value() and abs(value) < 2**53:
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)


def to_parameters(values: Iterable[Json]) -> list[Any]:
    """Return JSON values as driver parameters: objects, and lists of objects, become jsonb."""
    from psycopg.types.json import Jsonb

    return [
        Jsonb(value)
        if isinstance(value, dict)
        or (isinstance(value, list) and any(isinstance(item, dict | list) for item in value))
        else value
        for value in values
    ]
