"""Durations, Kubernetes quantities, byte sizes, comparisons and tolerances: text to exact values and back."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, cast

from engine.language.problems import BadText, shown
from engine.language.program import Comparison


class UnitError(BadText):
    """A duration, quantity, size or comparison cannot be read."""


# ---- durations ------------------------------------------------------------------------------------

_MILLISECONDS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_WORDS = {"week": "w", "day": "d", "hour": "h", "minute": "m", "second": "s", "millisecond": "ms"}
_WORDS |= {f"{word}s": unit for word, unit in _WORDS.items()}
_ORDER = ["w", "d", "h", "m", "s", "ms"]
_PART = re.compile(
    r"\s*([0-9]+)(?:\s*(milliseconds?|weeks?|days?|hours?|minutes?|seconds?)|([a-zA-Z]+))"
)
_DURATION_HINT = "write for example 90s, 15m, 4h, 2d or 1h30m"
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
        raise UnitError("the duration is empty", hint=_DURATION_HINT)
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
        return UnitError(f"{shown(text)} is negative", offset=position, hint=_DURATION_HINT)
    if re.fullmatch(r"[0-9]+", rest):
        hint = f"name the unit, for example {rest}s" if len(rest) < 16 else "name the unit"
        return UnitError(f"{shown(text)} has no unit", offset=position, hint=hint)
    if re.match(r"[0-9]*\.[0-9]", rest):
        hint = "write whole numbers: 1h30m, not 1.5h"
        return UnitError(f"{shown(text)} has a fraction", offset=position, hint=hint)
    return UnitError(f"{shown(text)} is no duration", offset=position, hint=_DURATION_HINT)


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
        raise UnitError(f"{value!r} is no duration", hint=_DURATION_HINT)
    if isinstance(value, int | float | Decimal):
        small = -1e18 < value < 1e18
        return _checked_seconds(float(value) if small else math.inf, value)
    if isinstance(value, str):
        return parse_duration(value)
    raise UnitError(f"a {type(value).__name__} is no duration", hint=_DURATION_HINT)


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


# ---- Kubernetes quantities ------------------------------------------------------------------------

_BINARY = {f"{letter}i": Decimal(1024) ** n for n, letter in enumerate("KMGTPE", 1)}
_DECIMAL = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1)}
_DECIMAL |= {letter: Decimal(1000) ** n for n, letter in enumerate("kMGTPE", 1)}
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([eE][+-]?[0-9]+)|([A-Za-zµ]*))")
_MOST = Decimal(2**63 - 1)
_LEAST = Decimal("1e-9")
_QUANTITY_HINT = "write for example 500m, 2, 512Mi or 1.5Gi"


def parse_quantity(text: str) -> Decimal:
    """Return the exact number that a Kubernetes quantity stands for: `500m` is 0.5, `1Gi` is 1073741824.

    As `resource.Quantity` does: suffixes n u m k M G T P E, Ki to Ei, or a decimal exponent. A value
    finer than one billionth is rounded away from zero, as Kubernetes does.

    Raises:
        UnitError: the text is no quantity, or beyond 2^63-1, which Kubernetes would cap in silence.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None or len(text) > 100:
        raise UnitError(f"{shown(text)} is no quantity", hint=_QUANTITY_HINT)
    number, exponent, suffix = match.groups()
    if exponent is not None:
        if len(exponent) > 4:
            raise UnitError(f"{shown(text)} has too large an exponent", offset=match.start(2))
        value = Decimal(number + exponent)
    else:
        factor = _BINARY.get(suffix) or _DECIMAL.get(suffix)
        if factor is None:
            hint = _suffix_hint(suffix)
            message = f"{shown(text)} has the unknown suffix {suffix}"
            raise UnitError(message, offset=match.start(3), hint=hint)
        value = _times(Decimal(number), factor)
    if abs(value) > _MOST:
        hint = "the largest quantity is 2^63-1, about 9.2E"
        raise UnitError(f"{shown(text)} is more than Kubernetes can hold", hint=hint)
    return _round_up(value)


def _times(number: Decimal, factor: Decimal) -> Decimal:
    """Multiply exactly: the context's 28 digits would round `1.23456789012345678901Gi`."""
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    top, bottom = factor.as_integer_ratio()
    scaled = int("".join(map(str, digits))) * top
    while bottom > 1:  # bottom is a power of ten: n, u, m
        bottom //= 10
        exponent -= 1
    return Decimal((sign, tuple(int(d) for d in str(scaled)), exponent))


def _round_up(value: Decimal) -> Decimal:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= -9:
        return value
    sign, digits, _ = value.as_tuple()
    whole, rest = divmod(int("".join(map(str, digits))), 10 ** (-9 - exponent))
    return Decimal((sign, tuple(int(d) for d in str(whole + bool(rest))), -9))


def _suffix_hint(suffix: str) -> str:
    for known in (*_BINARY, *_DECIMAL):
        if known and known.lower() == suffix.lower():
            return f"did you mean {known}?"
    bare = suffix.removesuffix("B").removesuffix("b")
    if bare != suffix and (bare in _BINARY or bare in _DECIMAL or bare == "K"):
        return f"leave the B out: {'k' if bare == 'K' else bare}"
    return "suffixes are n u m k M G T P E and Ki Mi Gi Ti Pi Ei"


def quantity(value: object) -> Decimal:
    """Return the exact value of a quantity as it stands in a manifest: a text or a number.

    Raises:
        UnitError: neither.
    """
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise UnitError(f"a {type(value).__name__} is no quantity", hint=_QUANTITY_HINT)
    if isinstance(value, int) and abs(value) > 2**63 - 1:
        raise UnitError("the number is more than Kubernetes can hold", hint=_QUANTITY_HINT)
    return parse_quantity(value if isinstance(value, str) else format(Decimal(repr(value)), "f"))


def format_quantity(value: Decimal | float, style: Literal["binary", "decimal"] = "decimal") -> str:
    """Write a quantity in Kubernetes' canonical form: no fraction, the largest suffix that loses nothing.

    Args:
        style: `binary` uses Ki, Mi … where the value is whole; `decimal` uses n, u, m, k, M ….
    """
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not exact.is_finite() or abs(exact) > _MOST:
        raise UnitError(f"{value} is no quantity that Kubernetes can hold", hint=_QUANTITY_HINT)
    exact = _round_up(exact)
    nanos = int(_times(exact, Decimal(10) ** 9))
    if nanos == 0:
        return "0"
    if style == "binary" and nanos % 10**9 == 0 and abs(nanos) >= 1024 * 10**9:
        whole = nanos // 10**9
        for suffix, factor in reversed(_BINARY.items()):
            if whole % int(factor) == 0:
                return f"{whole // int(factor)}{suffix}"
        return str(whole)
    for suffix, factor in reversed(_DECIMAL.items()):
        size = int(_times(factor, Decimal(10) ** 9))
        if nanos % size == 0:
            return f"{nanos // size}{suffix}"
    raise AssertionError("nanos are whole")


def parse_bytes(value: object) -> int:
    """Return a size in bytes: a whole number, or a quantity such as `4Mi` or `10M`.

    Raises:
        UnitError: not a size, negative, or not whole.
    """
    exact = quantity(value)
    if exact < 0 or exact != exact.to_integral_value():
        hint = "write for example 4Mi"
        raise UnitError(f"{value!r} is no size in whole bytes", hint=hint)
    return int(exact)


# ---- numbers, comparisons, tolerances -------------------------------------------------------------

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_COMPARISON = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*(\S.*?)\s*", re.DOTALL)
_OPS = ("<", "<=", ">", ">=", "==", "!=")


def parse_number(text: str) -> int | float:
    """Return the number that the whole of a text is: digits, fraction, exponent; an int where it is whole digits.

    Raises:
        UnitError: anything else, such as spaces, underscores, NaN, infinity, or beyond a float's range.
    """
    if _INTEGER.fullmatch(text) and len(text) <= 40:
        return int(text)
    if len(text) > 400 or not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise UnitError(f"{shown(text)} is no number", hint="write for example 3, -0.5 or 1e-3")
    return float(text)


def parse_comparison(text: str) -> Comparison:
    """Read `< 0.01`, `>= 3`, `== 0`, `!= 1`.

    Raises:
        UnitError: it is no comparison with a number.
    """
    match = _COMPARISON.fullmatch(text)
    if match is None:
        if re.match(r"\s*=[^=]", text):
            raise UnitError(f"{shown(text)} is no comparison", hint="write == for equality")
        hint = "write an operator and a number, for example < 0.01 or >= 3"
        raise UnitError(f"{shown(text)} is no comparison", hint=hint)
    op, right = match.groups()
    try:
        value = float(parse_number(right))
    except UnitError as error:
        hint = f"write a number after {op}, for example {op} 0.01"
        if right.endswith("%"):
            hint = f"write a fraction: {op} 0.05 is 5 %"
        message = f"{shown(right)} after {op} is no number"
        raise UnitError(message, offset=match.start(2), hint=hint) from error
    return Comparison(op=cast(Literal["<", "<=", ">", ">=", "==", "!="], op), value=value)


def format_comparison(comparison: Comparison) -> str:
    """Write a comparison the way that `parse_comparison` reads."""
    return f"{comparison.op} {comparison.value:.17g}"


def holds(comparison: Comparison, value: float | None) -> bool:
    """Tell whether a query's value satisfies the comparison. None (an empty vector) and NaN never do."""
    if value is None or math.isnan(value):
        return False
    right = comparison.value
    results: dict[str, bool] = {
        "<": value < right,
        "<=": value <= right,
        ">": value > right,
        ">=": value >= right,
        "==": value == right,
        "!=": value != right,
    }
    return results[comparison.op]


@dataclass(frozen=True)
class Tolerance:
    """How many of a foreach's items may fail without failing the step: `count`, or `share` of all of them."""

    count: int | None = None
    share: Decimal | None = None

    def allows(self, failed: int, total: int) -> bool:
        """Tell whether `failed` of `total` items is within it; a share is compared exactly."""
        if self.count is not None:
            return failed <= self.count
        assert self.share is not None
        return failed <= self.share * total


def parse_tolerance(value: Any) -> Tolerance:
    """Read `10%`, `2.5%`, `"3"` or 3.

    Raises:
        UnitError: neither a whole number of items nor a percentage from 0% to 100%.
    """
    hint = 'write a number of items such as 3, or a share such as "10%"'
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Tolerance(count=value)
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"[0-9]{1,9}", text):
            return Tolerance(count=int(text))
        match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%", text)
        if match is not None and Decimal(match.group(1)) <= 100:
            return Tolerance(share=Decimal(match.group(1)) / 100)
    raise UnitError(f"{shown(str(value))} is no tolerance", hint=hint)
