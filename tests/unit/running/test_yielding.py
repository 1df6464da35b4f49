"""Background loops give way to a burst of deliveries, never for long, and not where something urgent waits."""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine.running.yielding import give_way_to, go_on


class Burst:
    """Deliveries that come in for so many looks."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    def busy(self) -> bool:
        self.left -= 1
        return self.left >= 0


def counting(answers: list[bool]) -> Callable[[], bool]:
    return lambda: answers.pop(0) if len(answers) > 1 else answers[0]


def test_nothing_is_put_off_without_a_burst() -> None:
    asked = Burst(1)
    give_way_to(lambda: False)(threading.Event(), asked.busy)
    assert asked.left == 1, "where nobody is in the way, nobody looks ahead"
    go_on(threading.Event())


def test_a_burst_is_waited_out() -> None:
    burst = Burst(5)
    give_way_to(burst.busy, most=3600.0, pause=0.0)(threading.Event())
    assert burst.left < 0


def test_what_is_urgent_ends_the_wait() -> None:
    burst = Burst(1_000_000)
    give_way_to(burst.busy, most=3600.0, pause=0.0)(
        threading.Event(), counting([False, False, True])
    )
    assert burst.left > 0


def test_a_storm_without_end_puts_nothing_off_for_ever() -> None:
    burst = Burst(1_000_000_000)
    give_way_to(burst.busy, most=0.05, pause=0.001)(threading.Event())
    assert burst.left > 0


def test_who_stops_waits_for_nothing() -> None:
    stop = threading.Event()
    stop.set()
    burst = Burst(1_000_000)
    give_way_to(burst.busy, most=3600.0)(stop)
    assert burst.left > 0
