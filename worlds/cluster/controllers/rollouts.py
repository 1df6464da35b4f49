"""The arithmetic of a rolling update: how far each replica set may go now. Pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Side:
    """One replica set, as the arithmetic sees it."""

    wanted: int
    available: int


def resolve(value: int | str, total: int, *, up: bool) -> int:
    """Return a count or a percentage of `total` as a count."""
    if isinstance(value, str):
        share = total * int(value.rstrip("%")) / 100
        return math.ceil(share) if up else math.floor(share)
    return value


def bounds(replicas: int, surge: int | str, unavailable: int | str) -> tuple[int, int]:
    """Return (maxSurge, maxUnavailable) as counts; both zero would stand still, so one may be missing."""
    most = resolve(surge, replicas, up=True)
    fewest = resolve(unavailable, replicas, up=False)
    if most == 0 and fewest == 0:
        fewest = 1
    return most, min(fewest, replicas)


def grow(new: Side, old: list[Side], replicas: int, surge: int) -> int:
    """Return how many replicas the new set may want now."""
    if new.wanted >= replicas:
        return replicas
    total = new.wanted + sum(side.wanted for side in old)
    room = replicas + surge - total
    return new.wanted + max(0, min(room, replicas - new.wanted))


def shrink(new: Side, old: list[Side], replicas: int, unavailable: int) -> list[int]:
    """Return how many replicas each old set (oldest first) may want now.

    Pods that are not available go first, since nobody misses them; then as many available ones
    as the minimum allows.
    """
    wanted = [side.wanted for side in old]
    minimum = replicas - unavailable
    total = new.wanted + sum(wanted)
    spare = total - minimum - (new.wanted - new.available)
    if spare <= 0:
        return wanted
    for index, side in enumerate(old):
        ill = min(spare, side.wanted - min(side.available, side.wanted))
        wanted[index] -= ill
        spare -= ill
    available = new.available + sum(min(side.available, side.wanted) for side in old)
    healthy = available - minimum
    for index in range(len(old)):
        less = min(max(0, healthy), wanted[index])
        wanted[index] -= less
        healthy -= less
    return wanted


def spread(wanted: list[int], replicas: int, before: int) -> list[int]:
    """Return sets' sizes when a rollout that is under way is scaled: in proportion, the rest to the largest."""
    total = sum(wanted)
    goal = max(0, total + replicas - before)
    if total == 0:
        return wanted
    sizes = [math.floor(size * goal / total) for size in wanted]
    rest = goal - sum(sizes)
    if rest > 0:
        sizes[max(range(len(sizes)), key=lambda index: wanted[index])] += rest
    return sizes
