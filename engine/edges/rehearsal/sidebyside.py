"""Work shared out over the cores: processes forked off this one, which see all that it has loaded.

A process that is killed, by the system where memory runs out, is noticed: its task is never waited for.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any, TypeVar

from engine.domain.errors import StanchError

T = TypeVar("T")
_FORK = multiprocessing.get_context("fork")


def side_by_side(tasks: Sequence[Callable[[], T]], jobs: int | None = None) -> Iterator[T]:
    """Yield the result of each task, in their order, as it comes. What a task raises is raised in its turn.

    Args:
        tasks: what they return must be picklable; they themselves need not be.
        jobs: processes; None: as many as there are cores.

    Raises:
        StanchError: no process could be forked, or one ended without telling what came of its task.
    """
    number = number_of(tasks, jobs)
    if number <= 1:
        for task in tasks:
            yield task()
        return
    crew = _Crew(tasks)
    try:
        crew.fork(number)
        yield from crew.results()
        crew.dismiss()
    finally:
        crew.end()


def number_of(tasks: Sequence[object], jobs: int | None) -> int:
    """Return how many processes share some tasks."""
    return min(jobs or os.cpu_count() or 1, len(tasks))


def told(exit_code: int) -> str:
    """Say how a process ended that told nothing: by which signal, and what that mostly means."""
    if exit_code >= 0:
        return f"ended with code {exit_code} and told nothing"
    name = signal.Signals(-exit_code).name
    why = ", as the system does where memory runs out" if name == "SIGKILL" else ""
    return f"was killed by {name}{why}"


class _Crew:
    """The processes that share tasks; each is given the next one when it has told its last."""

    def __init__(self, tasks: Sequence[Callable[[], Any]]) -> None:
        self._tasks = tasks
        self._members: dict[Connection, ForkProcess] = {}

    def fork(self, number: int) -> None:
        for _ in range(number):
            ours, theirs = _FORK.Pipe()
            inherited = [*self._members, ours]
            member = _FORK.Process(
                target=_serve, args=(self._tasks, theirs, inherited), daemon=True
            )
            try:
                member.start()
            except OSError as error:
                ours.close()
                raise StanchError(
                    f"no process can be forked: {error.strerror}. Free memory or raise the limit of "
                    "processes, or play in this one with --jobs 1"
                ) from error
            finally:
                theirs.close()
            self._members[ours] = member

    def results(self) -> Iterator[Any]:
        ready: dict[int, tuple[bool, Any]] = {}
        left = iter(range(len(self._tasks)))
        busy: dict[Connection, int] = {}
        for member in self._members:
            self._give(member, left, busy)
        for turn in range(len(self._tasks)):
            while turn not in ready:
                for one in wait(list(busy)):
                    assert isinstance(one, Connection)
                    ready[busy.pop(one)] = self._heard(one)
                    self._give(one, left, busy)
            well, result = ready.pop(turn)
            if not well:
                raise result
            yield result

    @staticmethod
    def _give(member: Connection, left: Iterator[int], busy: dict[Connection, int]) -> None:
        index = next(left, None)
        if index is not None:
            busy[member] = index
            with suppress(BrokenPipeError):  # what became of it is seen where it is heard
                member.send(index)

    def _heard(self, member: Connection) -> tuple[bool, Any]:
        try:
            answer: tuple[bool, Any] = member.recv()
        except (EOFError, ConnectionResetError):
            process = self._members[member]
            process.join()
            raise StanchError(
                f"a process that played rehearsals {told(process.exitcode or 0)}; what it played is "
                "not known. With --jobs 1 fewer play at the same time"
            ) from None
        return answer

    def dismiss(self) -> None:
        """Let them end by themselves: nothing is left to do."""
        for member, process in self._members.items():
            member.close()
            process.join()

    def end(self) -> None:
        """End those that are still there, whatever they do."""
        for member, process in self._members.items():
            process.terminate()
            process.join()
            member.close()


def _serve(
    tasks: Sequence[Callable[[], Any]], mine: Connection, inherited: Sequence[Connection]
) -> None:
    """In a process of the crew: do the tasks whose numbers come, until none can come any more."""
    for one in inherited:  # the other ends: while they are open nobody's end would be seen
        one.close()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        while True:
            index = mine.recv()
            try:
                answer: tuple[bool, Any] = True, tasks[index]()
            except Exception as error:  # noqa: BLE001  raised where its result is asked for
                answer = False, error
            mine.send(answer)
