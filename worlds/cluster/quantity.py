"""Quantities as Kubernetes writes them: `128Mi`, `50m`, `2`, `1e3`."""

from __future__ import annotations

import re
from decimal import Decimal

_FORM = re.compile(r"([+-]?\d*\.?\d+|[+-]?\d+\.?)([eE][+-]?\d+|Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|)\Z")
_FACTORS = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
} | {
    suffix: Decimal(1024) ** power
    for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)
}


def parse_quantity(text: str | int | float) -> Decimal:
    """Return the quantity as a number of its base unit (bytes, cores).

    Raises:
        ValueError: the text is no quantity.
    """
    match = _FORM.match(str(text))
    if not match:
        raise ValueError(f"{text!r} is no quantity; write for example 512Mi, 500m or 2")
    number, suffix = match.groups()
    if suffix and suffix[0] in "eE" and len(suffix) > 1 and suffix[1:] != "i":
        return Decimal(number) * Decimal(10) ** int(suffix[1:])
    return Decimal(number) * _FACTORS[suffix]
