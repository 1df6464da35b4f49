"""Prometheus' fingerprint of a label set: 64 bits of FNV-1a over the sorted labels, in hexadecimal.

The same algorithm as Alertmanager's, so that a fingerprint computed here after `drop_labels` equals the
one that Alertmanager computes for an alert that never had those labels.
"""

from __future__ import annotations

from collections.abc import Mapping

_OFFSET = 14695981039346656037
_PRIME = 1099511628211
_MASK = (1 << 64) - 1
_SEPARATOR = b"\xff"  # no byte of valid UTF-8, so no label can contain it


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return the fingerprint of `labels` as 16 lower-case hexadecimal digits. Their order plays no part."""
    encoded = sorted(
        (name.encode("utf-8", "surrogatepass"), value.encode("utf-8", "surrogatepass"))
        for name, value in labels.items()
    )
    total = _OFFSET
    for name, value in encoded:
        for byte in name + _SEPARATOR + value + _SEPARATOR:
            total = ((total ^ byte) * _PRIME) & _MASK
    return f"{total:016x}"
