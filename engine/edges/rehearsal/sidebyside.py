"""Work shared out over the cores: processes forked off this one, which see all that it has loaded."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
_tasks: Sequence[Callable[[], Any]] = ()


def side_by_side(tasks: Sequence[Callable[[], T]], jobs: int | None = None) -> Iterator[T]:
    """Yield the result of each task, in their order, as it comes.

    Args:
        tasks: what they return must be picklable; they themselves need not be.
        jobs: processes; None: as many as there are cores.
    """
    global _tasks  # noqa: PLW0603  the children of a fork find their task here
    number = number_of(tasks, jobs)
    if number <= 1:
        for task in tasks:
            yield task()
        return
    _tasks = tasks
    try:
        with multiprocessing.get_context("fork").Pool(number) as pool:
            yield from pool.imap(_run, range(len(tasks)), chunksize=1)
    finally:
        _tasks = ()


def number_of(tasks: Sequence[object], jobs: int | None) -> int:
    """Return how many processes share some tasks."""
    return min(jobs or os.cpu_count() or 1, len(tasks))


def _run(index: int) -> Any:
    return _tasks[index]()
