"""Numbers, comparisons with them, and tolerances: text to exact values and back."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, cast

from engine.language.problems import UnitError, shown
from engine.language.program import Comparison

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_COMPARISON = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*(\S.*?)\s*", re.DOTALL)


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
