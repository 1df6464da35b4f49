"""Identifiers that sort by time and can be read out over the telephone."""

from __future__ import annotations

import os
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)  # ten bits each


def new_id(prefix: str) -> str:
    """Return `prefix-` and 16 characters: 45 bits of milliseconds, then 35 random bits."""
    value = ((time.time_ns() // 1_000_000) & ((1 << 45) - 1)) << 35
    value |= int.from_bytes(os.urandom(5), "big") >> 5
    pairs = _PAIRS
    return (
        f"{prefix}-{pairs[value >> 70]}{pairs[value >> 60 & 1023]}{pairs[value >> 50 & 1023]}"
        f"{pairs[value >> 40 & 1023]}{pairs[value >> 30 & 1023]}{pairs[value >> 20 & 1023]}"
        f"{pairs[value >> 10 & 1023]}{pairs[value & 1023]}"
    )
