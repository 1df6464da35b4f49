"""Durations: text to seconds and back."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from engine.language.problems import UnitError, shown

_MILLISECONDS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_WORDS = {"week": "w", "day": "d", "hour": "h", "minute": "m", "second": "s", "millisecond": "ms"}
_WORDS |= {f"{word}s": unit for word, unit in _WORDS.items()}
_ORDER = ["w", "d", "h", "m", "s", "ms"]
_PART = re.compile(
    r"\s*([0-9]+)(?:\s*(milliseconds?|weeks?|days?|hours?|minutes?|seconds?)|([a-zA-Z]+))"
)
_HINT = "write for example 90s, 15m, 4h, 2d or 1h30m"
_NEAR_UNITS = {"sec": "s", "secs": "s", "min": "m", "mins": "m", "hr": "h", "hrs": "h", "H": "h"}
_NEAR_UNITS |= {"D": "d", "S": "s", "W": "w", "M": "m (minutes) or 30d (about a month)"}
_NEAR_UNITS |= {"mo": "30d (a month has no fixed length)", "y": "365d (a year has no fixed length)"}
MAX_SECONDS = 3650 * 86400.0  # ten years: beyond it a timer is a mistake, and times overflow


def parse_duration(text: str) -> float:
    """Return the seconds that a duration names: `90s`, `15m`, `4h`, `2d`, `1w`, `250ms`, `1h30m`, `60 minutes`.

    Parts go from the largest unit to the smallest, each at most once, with whole numbers.

    Raises:
        UnitError: the text is no such duration; it says what to write.
    """
    if not text.strip():
        raise UnitError("the duration is empty", hint=_HINT)
    position, total, last = 0, 0, -1
    body = text.rstrip()
    while position < len(body):
        match = _PART.match(body, position)
        if match is None:
            raise _bad_duration(text, position)
        word, letters = match.group(2), match.group(3)
        unit = _WORDS[word] if word else letters
        if unit not in _MILLISECONDS:
            near = _NEAR_UNITS.get(unit)
            hint = f"write {near}" if near else "units are ms, s, m, h, d and w"
            offset = match.start(3)
            raise UnitError(f"{shown(text)} has the unknown unit {unit}", offset=offset, hint=hint)
        if _ORDER.index(unit) <= last:
            hint = "go from the largest unit to the smallest, each once: 1h30m"
            raise UnitError(f"{shown(text)} has its units out of order", offset=position, hint=hint)
        if len(match.group(1)) > 15:
            raise UnitError(f"{shown(text)} is too long a time", hint="the longest is 3650d")
        last = _ORDER.index(unit)
        total += int(match.group(1)) * _MILLISECONDS[unit]
        position = match.end()
    return _checked_seconds(total / 1000, text)


def _bad_duration(text: str, position: int) -> UnitError:
    rest = text[position:].strip()
    if rest.startswith("-"):
        return UnitError(f"{shown(text)} is negative", offset=position, hint=_HINT)
    if re.fullmatch(r"[0-9]+", rest):
        hint = f"name the unit, for example {rest}s" if len(rest) < 16 else "name the unit"
        return UnitError(f"{shown(text)} has no unit", offset=position, hint=hint)
    if re.match(r"[0-9]*\.[0-9]", rest):
        hint = "write whole numbers: 1h30m, not 1.5h"
        return UnitError(f"{shown(text)} has a fraction", offset=position, hint=hint)
    return UnitError(f"{shown(text)} is no duration", offset=position, hint=_HINT)


def _checked_seconds(seconds: float, given: object) -> float:
    if not math.isfinite(seconds) or seconds < 0:
        raise UnitError(f"{given!r} is no duration", hint="seconds are a number of 0 or more")
    if seconds > MAX_SECONDS:
        raise UnitError(f"{shown(str(given))} is too long a time", hint="the longest is 3650d")
    return seconds


def seconds(value: object) -> float:
    """Return the seconds of a duration as a template or a YAML value gives it: a number, or such a text.

    Raises:
        UnitError: neither.
    """
    if isinstance(value, bool):
        raise UnitError(f"{value!r} is no duration", hint=_HINT)
    if isinstance(value, int | float | Decimal):
        small = -1e18 < value < 1e18
        return _checked_seconds(float(value) if small else math.inf, value)
    if isinstance(value, str):
        return parse_duration(value)
    raise UnitError(f"a {type(value).__name__} is no duration", hint=_HINT)


def format_duration(value: float) -> str:
    """Write seconds the short way that `parse_duration` reads: `1h30m`, `90s` as `1m30s`, `0s`.

    Raises:
        UnitError: the value is negative or no number.
    """
    left = round(_checked_seconds(value, value) * 1000)
    parts = []
    for unit in _ORDER[1:]:
        count, left = divmod(left, _MILLISECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
