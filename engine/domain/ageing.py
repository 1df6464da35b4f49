"""How waiting makes work urgent: low work is done late, never never."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STEP = 15 * 60.0  # seconds of waiting that raise a run by one level
HIGHEST = 8  # what waiting can raise to: a P0, which is 9, never waits behind anything else


@dataclass(frozen=True)
class Waiting:
    """A run that waits for a worker. `seq` is its place among all; `waited` counts seconds since it was made."""

    seq: int
    priority: int
    waited: float


def urgency(priority: int, waited: float) -> int:
    """Return the priority that a run has by now: one level more for each `STEP`, at most `HIGHEST`."""
    return max(priority, min(HIGHEST, priority + int(max(waited, 0.0) // STEP)))


def overdue(taken: Waiting, heads: Sequence[Waiting]) -> Waiting | None:
    """Return which of the runs that wait should go before `taken`, by urgency and then by age; None: none.

    Args:
        heads: the oldest run of each priority; within a priority the oldest is always the most urgent.
    """
    best = max(heads, key=_order, default=None)
    if best is None or taken.priority > HIGHEST or _order(best) <= _order(taken):
        return None
    return best


def _order(one: Waiting) -> tuple[int, int]:
    return urgency(one.priority, one.waited), -one.seq
