"""Durations: what they say in seconds, and what is refused."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from engine.language.durations import format_duration, parse_duration, seconds
from engine.language.problems import UnitError


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
