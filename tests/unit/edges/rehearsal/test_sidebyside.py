"""Tasks in processes side by side: results in their order, and none is waited for that cannot come."""

from __future__ import annotations

import os
import signal
from functools import partial

import pytest

from engine.domain.errors import StanchError
from engine.edges.rehearsal.sidebyside import side_by_side


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def fail(text: str) -> tuple[int, int]:
    raise ValueError(text)


def die(by: signal.Signals) -> tuple[int, int]:
    os.kill(os.getpid(), by)
    return 0, 0


def test_results_come_in_their_order_from_other_processes() -> None:
    found = list(side_by_side([partial(square, number) for number in range(20)], 2))
    assert [one for one, _ in found] == [number * number for number in range(20)]
    assert os.getpid() not in {by for _, by in found}


def test_what_a_task_raises_is_raised_in_its_turn() -> None:
    results = side_by_side([partial(square, 2), partial(fail, "no such rehearsal")], 2)
    assert next(results)[0] == 4
    with pytest.raises(ValueError, match="no such rehearsal"):
        next(results)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed_is_told_and_not_waited_for(by: signal.Signals) -> None:
    tasks = [partial(square, 2), partial(die, by), *(partial(square, n) for n in range(5))]
    with pytest.raises(StanchError, match=f"was killed by {by.name}.*--jobs 1"):
        list(side_by_side(tasks, 2))


def test_nobody_is_left_when_the_rest_is_not_wanted() -> None:
    results = side_by_side([partial(square, number) for number in range(5)], 2)
    _, first = next(results)
    results.close()  # type: ignore[attr-defined]  # an iterator by its type, a generator in fact
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
