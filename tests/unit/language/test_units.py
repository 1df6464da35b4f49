"""Durations, quantities, comparisons, tolerances."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from engine.language.units import (
    Tolerance,
    UnitError,
    format_comparison,
    format_duration,
    format_quantity,
    holds,
    parse_bytes,
    parse_comparison,
    parse_duration,
    parse_number,
    parse_quantity,
    parse_tolerance,
    quantity,
    seconds,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90),
        ("15m", 900),
        ("4h", 14400),
        ("2d", 172800),
        ("1w", 604800),
        ("250ms", 0.25),
        ("0s", 0),
        ("1h30m", 5400),
        ("1d2h3m4s5ms", 93784.005),
        ("1h 30m", 5400),
        ("60 minutes", 3600),
        ("2 hours", 7200),
        ("1 hour 1 second", 3601),
        (" 5m ", 300),
    ],
)
def test_durations_are_seconds(text: str, expected: float) -> None:
    assert parse_duration(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("", "the duration is empty", None),
        ("90", "'90' has no unit; name the unit, for example 90s", 0),
        ("1h30", "'1h30' has no unit; name the unit, for example 30s", 2),
        ("1.5h", "'1.5h' has a fraction; write whole numbers: 1h30m, not 1.5h", 0),
        ("-5m", "'-5m' is negative", 0),
        ("5x", "'5x' has the unknown unit x; units are ms, s, m, h, d and w", 1),
        ("5min", "'5min' has the unknown unit min; write m", 1),
        ("1M", "write m (minutes) or 30d", 1),
        ("1y", "write 365d", 1),
        ("30m1h", "'30m1h' has its units out of order; go from the largest unit", 3),
        ("1m1m", "units out of order", 2),
        ("soon", "'soon' is no duration; write for example 90s, 15m", 0),
        ("11y", "unknown unit", 2),
        ("99999d", "is too long a time; the longest is 3650d", None),
        ("9" * 400 + "s", "is too long a time", None),
        ("\u0663m", "is no duration", 0),
    ],
)
def test_bad_durations_say_what_to_write(text: str, message: str, offset: int | None) -> None:
    with pytest.raises(UnitError) as caught:
        parse_duration(text)
    assert message in str(caught.value)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("value", "expected"), [(90, 90.0), (0.5, 0.5), ("15m", 900.0), (Decimal("2.5"), 2.5)]
)
def test_seconds_takes_numbers_and_texts(value: object, expected: float) -> None:
    assert seconds(value) == expected


@pytest.mark.parametrize("value", [True, -1, math.nan, math.inf, 10**400, None, [], "x", 1e12])
def test_seconds_refuses_the_rest(value: object) -> None:
    with pytest.raises(UnitError):
        seconds(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0s"),
        (90, "1m30s"),
        (5400, "1h30m"),
        (172800, "2d"),
        (0.25, "250ms"),
        (3600.5, "1h500ms"),
    ],
)
def test_durations_are_written_short(value: float, text: str) -> None:
    assert format_duration(value) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "1"),
        ("0", "0"),
        ("-2", "-2"),
        ("+2", "2"),
        (".5", "0.5"),
        ("5.", "5"),
        ("500m", "0.5"),
        ("100n", "0.0000001"),
        ("3u", "0.000003"),
        ("1k", "1000"),
        ("2M", "2000000"),
        ("3G", "3000000000"),
        ("4T", "4000000000000"),
        ("5P", "5000000000000000"),
        ("6E", "6000000000000000000"),
        ("1Ki", "1024"),
        ("1Mi", "1048576"),
        ("1.5Gi", "1610612736"),
        ("1Ti", "1099511627776"),
        ("1Pi", "1125899906842624"),
        ("7Ei", "8070450532247928832"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("12e-1", "1.2"),
        ("1E", "1000000000000000000"),
        ("0.1n", "0.000000001"),
        ("-0.1n", "-0.000000001"),
    ],
)
def test_quantities_are_exact(text: str, expected: str) -> None:
    assert parse_quantity(text) == Decimal(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no quantity"),
        ("Gi", "is no quantity"),
        ("1 Gi", "is no quantity"),
        ("1gi", "did you mean Gi?"),
        ("1K", "did you mean k?"),
        ("2GB", "leave the B out: G"),
        ("2KB", "leave the B out: k"),
        ("2GiB", "leave the B out: Gi"),
        ("1.2.3", "is no quantity"),
        ("1e99999", "too large an exponent"),
        ("8Ei", "more than Kubernetes can hold"),
        ("1e30", "more than Kubernetes can hold"),
        ("1µ", "unknown suffix"),
        ("NaN", "is no quantity"),
        ("\u0661", "is no quantity"),
        ("1\n", "is no quantity"),
        ("1x", "suffixes are"),
    ],
)
def test_bad_quantities(text: str, message: str) -> None:
    with pytest.raises(UnitError) as caught:
        parse_quantity(text)
    assert message in str(caught.value)


def test_quantities_compare_as_numbers_not_as_text() -> None:
    assert quantity("900Mi") < quantity("2Gi")
    assert quantity("1000m") == quantity("1") == quantity(1)
    assert quantity(0.5) == quantity("500m")
    assert quantity("1Gi") > quantity("1G")


@pytest.mark.parametrize("value", [True, None, [], math.nan, math.inf, 2**63])
def test_other_values_are_no_quantity(value: object) -> None:
    with pytest.raises(UnitError):
        quantity(value)


@pytest.mark.parametrize(
    ("text", "style", "expected"),
    [
        ("1536Mi", "binary", "1536Mi"),
        ("1.5Gi", "binary", "1536Mi"),
        ("2048Mi", "binary", "2Gi"),
        ("1000", "binary", "1k"),
        ("1025", "binary", "1025"),
        ("0.5", "binary", "500m"),
        ("0", "binary", "0"),
        ("1000m", "decimal", "1"),
        ("1500m", "decimal", "1500m"),
        ("1000000", "decimal", "1M"),
        ("-2000", "decimal", "-2k"),
        ("3n", "decimal", "3n"),
    ],
)
def test_quantities_are_written_in_canonical_form(text: str, style: str, expected: str) -> None:
    assert format_quantity(parse_quantity(text), "binary" if style == "binary" else "decimal") == (
        expected
    )


def test_byte_sizes() -> None:
    assert parse_bytes("4Mi") == 4194304
    assert parse_bytes(1000) == 1000
    for wrong in ("500m", -1, "-1Ki", "4MB", None):
        with pytest.raises(UnitError):
            parse_bytes(wrong)


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
