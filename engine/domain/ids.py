"""Identifiers that sort by time and can be read out over the telephone."""

from __future__ import annotations

import os
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


def new_id(prefix: str) -> str:
    """Return `prefix-` and 16 characters: 45 bits of milliseconds, then 35 random bits."""
    value = ((time.time_ns() // 1_000_000) & ((1 << 45) - 1)) << 35
    value |= int.from_bytes(os.urandom(5), "big") >> 5
    characters = [_ALPHABET[(value >> shift) & 31] for shift in range(75, -1, -5)]
    return f"{prefix}-{''.join(characters)}"
