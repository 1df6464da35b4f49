"""Lets the intake go first. Accepting has a deadline (the sender's), deciding and running have none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

GIVE_WAY = Callable[[threading.Event], None]


def give_way_to(busy: Callable[[], bool], *, most: float = 0.5, pause: float = 0.01) -> GIVE_WAY:
    """Return a wait that background loops call before each round.

    Args:
        busy: whether a burst of deliveries comes in just now.
        most: seconds that one round is put off at most, so that a storm starves nobody: what is urgent
            in it still begins within a second.
    """

    def give_way(stop: threading.Event) -> None:
        if not busy():
            return
        end = time.monotonic() + most
        while busy() and not stop.wait(pause) and time.monotonic() < end:
            pass

    return give_way


def go_on(stop: threading.Event) -> None:
    """Give way to nobody."""
    del stop
