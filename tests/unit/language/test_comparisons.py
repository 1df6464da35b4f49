"""Numbers, comparisons, tolerances."""

from __future__ import annotations

import math

import pytest

from engine.language.comparisons import (
    Tolerance,
    format_comparison,
    holds,
    parse_comparison,
    parse_number,
    parse_tolerance,
)
from engine.language.problems import UnitError


@pytest.mark.parametrize(
    ("text", "op", "value"),
    [
        ("< 0.01", "<", 0.01),
        (">=3", ">=", 3),
        ("== 0", "==", 0),
        (" != 1 ", "!=", 1),
        ("> -1e-3", ">", -0.001),
        ("<= .5", "<=", 0.5),
    ],
)
def test_comparisons(text: str, op: str, value: float) -> None:
    comparison = parse_comparison(text)
    assert (comparison.op, comparison.value) == (op, value)
    assert parse_comparison(format_comparison(comparison)) == comparison


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("= 3", "write == for equality", None),
        ("3", "write an operator and a number", None),
        ("< ", "write an operator and a number", None),
        ("< x", "'x' after < is no number; write a number after <", 2),
        ("> 5%", "write a fraction: > 0.05 is 5 %", 2),
        ("< NaN", "is no number", 2),
        ("< 1e999", "is no number", 2),
        ("< 1 or > 3", "is no number", 2),
        ("=> 3", "is no comparison", None),
    ],
)
def test_bad_comparisons(text: str, message: str, offset: int | None) -> None:
    with pytest.raises(UnitError) as caught:
        parse_comparison(text)
    assert message in str(caught.value)
    assert caught.value.offset == offset


def test_nothing_and_nan_never_satisfy() -> None:
    for text in ("< 1", ">= 0", "!= 5", "== 0"):
        assert not holds(parse_comparison(text), None)
        assert not holds(parse_comparison(text), math.nan)
    assert holds(parse_comparison("!= 5"), 4.0)
    assert holds(parse_comparison(">= 3"), 3.0)
    assert not holds(parse_comparison("> 3"), 3.0)
    assert holds(parse_comparison("< 3"), -math.inf)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3", 3), ("-0.5", -0.5), ("1e-3", 0.001), ("1e5", 100000.0), ("007", 7), (".5", 0.5)],
)
def test_numbers(text: str, expected: float) -> None:
    number = parse_number(text)
    assert number == expected
    assert type(number) is type(expected)


@pytest.mark.parametrize(
    "text", ["", " 3", "3\n", "1_000", "nan", "inf", "1e999", "0x1f", "3,5", "\u0663"]
)
def test_bad_numbers(text: str) -> None:
    with pytest.raises(UnitError, match="is no number"):
        parse_number(text)


def test_tolerances_are_exact() -> None:
    ten = parse_tolerance("10%")
    assert ten.allows(1, 10)
    assert not ten.allows(1, 9)
    assert parse_tolerance("0.1%").allows(1, 1000)
    assert not parse_tolerance("0.1%").allows(1, 999)
    assert parse_tolerance("100%").allows(7, 7)
    assert parse_tolerance(3) == parse_tolerance("3") == Tolerance(count=3)
    assert not Tolerance(count=3).allows(4, 100)
    for wrong in ("101%", "-1%", "x", "", -1, True, None, 1.5, "1e2%"):
        with pytest.raises(UnitError, match="is no tolerance"):
            parse_tolerance(wrong)
