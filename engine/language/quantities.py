"""Kubernetes quantities and sizes in bytes: text to exact numbers and back."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal

from engine.language.problems import UnitError, shown

_BINARY = {f"{letter}i": Decimal(1024) ** n for n, letter in enumerate("KMGTPE", 1)}
_DECIMAL = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1)}
_DECIMAL |= {letter: Decimal(1000) ** n for n, letter in enumerate("kMGTPE", 1)}
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([eE][+-]?[0-9]+)|([A-Za-zµ]*))")
_MOST = Decimal(2**63 - 1)
_HINT = "write for example 500m, 2, 512Mi or 1.5Gi"


def parse_quantity(text: str) -> Decimal:
    """Return the exact number that a Kubernetes quantity stands for: `500m` is 0.5, `1Gi` is 1073741824.

    As `resource.Quantity` does: suffixes n u m k M G T P E, Ki to Ei, or a decimal exponent. A value
    finer than one billionth is rounded away from zero, as Kubernetes does.

    Raises:
        UnitError: the text is no quantity, or beyond 2^63-1, which Kubernetes would cap in silence.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None or len(text) > 100:
        raise UnitError(f"{shown(text)} is no quantity", hint=_HINT)
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
        raise UnitError(f"a {type(value).__name__} is no quantity", hint=_HINT)
    if isinstance(value, int) and abs(value) > 2**63 - 1:
        raise UnitError("the number is more than Kubernetes can hold", hint=_HINT)
    return parse_quantity(value if isinstance(value, str) else format(Decimal(repr(value)), "f"))


def format_quantity(value: Decimal | float, style: Literal["binary", "decimal"] = "decimal") -> str:
    """Write a quantity in Kubernetes' canonical form: no fraction, the largest suffix that loses nothing.

    Args:
        style: `binary` uses Ki, Mi … where the value is whole; `decimal` uses n, u, m, k, M ….
    """
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not exact.is_finite() or abs(exact) > _MOST:
        raise UnitError(f"{value} is no quantity that Kubernetes can hold", hint=_HINT)
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
