"""What this process takes of its machine."""

from __future__ import annotations

import functools
import os

_STATM = "/proc/self/statm"
_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int | None:
    """Return the bytes of memory that the process holds now; None where the system does not say (no Linux)."""
    file = _opened()
    if file is None:
        return None
    return int(os.pread(file, 128, 0).split()[1]) * _PAGE


@functools.cache
def _opened() -> int | None:
    """Opened once: asked after every step, opening it would cost more than the step's own measures."""
    try:
        return os.open(_STATM, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
