"""One canonical JSON form, so that hashes agree on every machine and for every dictionary order."""

from __future__ import annotations

import hashlib
import json
from typing import Any, TypeAlias

# JSON data: dict, list, str, int, float, bool or None. Spelt Any because every reader of it narrows anyway.
Json: TypeAlias = Any
JsonObject: TypeAlias = dict[str, Any]


# Made once: `json.dumps` makes one anew for each call that is not plain.
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical_json(value: Json) -> str:
    """Return `value` as JSON with sorted keys, no spaces and no NaN.

    Raises:
        ValueError: `value` holds NaN or an infinity, which JSON cannot carry.
        TypeError: `value` holds something that is not JSON.
    """
    return _ENCODER.encode(value)


def digest(value: Json) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, in lower-case hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
