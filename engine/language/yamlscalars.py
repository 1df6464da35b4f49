"""Plain (unquoted) scalars by YAML 1.2's core schema: `on` and `10:30` are texts, `0777` is 777."""

from __future__ import annotations

import re
from typing import Any

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INF = re.compile(r"([-+]?)\.(?:inf|Inf|INF)\Z")
_NAN = {".nan", ".NaN", ".NAN"}
_NUMERIC = frozenset("+-.0123456789")  # how every number begins


def resolved(text: str) -> Any:
    """Return what a plain (unquoted) scalar stands for in YAML 1.2's core schema.

    Raises:
        ValueError: a number that JSON and the journal cannot carry.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text[0] not in _NUMERIC:
        return text
    if _INT.match(text) or _BASED.match(text):
        return _integer(text)
    if _FLOAT.match(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ValueError("the number is too large")
        return number
    infinite = _INF.match(text)
    if infinite:
        return float(f"{infinite.group(1)}inf")
    return float("nan") if text in _NAN else text


def _integer(text: str) -> int:
    if len(text) > 70:
        raise ValueError("the number is too large")
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    number = int(text[2:] if base != 10 else text, base)
    if not -(2**63) <= number < 2**63:
        raise ValueError("the number is too large")
    return number
