"""Kubernetes quantities and byte sizes, exactly."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from engine.language.problems import UnitError
from engine.language.quantities import format_quantity, parse_bytes, parse_quantity, quantity


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
