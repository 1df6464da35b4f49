"""Lets the intake go first. Accepting has a deadline (the sender's), deciding and running have none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

Urgent = Callable[[], bool]


class GiveWay(Protocol):
    """A wait that background loops call before each round."""

    def __call__(self, stop: threading.Event, urgent: Urgent = ...) -> None:
        """Wait while deliveries come in; no longer once `urgent` says that something must not wait."""
        ...


def nothing_urgent() -> bool:
    """Whatever waits may wait."""
    return False


def give_way_to(busy: Callable[[], bool], *, most: float = 0.5, pause: float = 0.01) -> GiveWay:
    """Return such a wait.

    Args:
        busy: whether a burst of deliveries comes in just now.
        most: seconds that one round is put off at most, so that a storm starves nobody.
    """

    def give_way(stop: threading.Event, urgent: Urgent = nothing_urgent) -> None:
        if not busy():
            return
        end = time.monotonic() + most
        while busy() and not urgent() and not stop.wait(pause) and time.monotonic() < end:
            pass

    return give_way


def go_on(stop: threading.Event, urgent: Urgent = nothing_urgent) -> None:
    """Give way to nobody."""
    del stop, urgent
