"""What runs in a pod by `exec`: programs that tests and rehearsals put there, and a few that always are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.domain.canonical import JsonObject


@dataclass(frozen=True)
class Ran:
    """How a program ended, and how long it took."""

    exit_code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    seconds: float = 0.0


Program = Callable[[JsonObject, list[str]], Ran]


class Programs:
    """Programs by name, the same in all containers. `ran` are the commands of all calls.

    A program is called with the pod and the whole command.
    """

    def __init__(self) -> None:
        self.ran: list[tuple[str, tuple[str, ...]]] = []
        self._programs: dict[str, Program] = {
            "true": lambda _pod, _command: Ran(),
            "false": lambda _pod, _command: Ran(1),
            "echo": lambda _pod, command: Ran(stdout=(" ".join(command[1:]) + "\n").encode()),
            "sleep": lambda _pod, command: Ran(seconds=float(command[1])),
        }

    def add(self, name: str, program: Program) -> None:
        self._programs[name] = program

    def run(self, pod: JsonObject, command: list[str]) -> Ran | None:
        """Run a command, or return None where there is no such program."""
        program = self._programs.get(command[0])
        if program is None:
            return None
        self.ran.append((pod["metadata"]["name"], tuple(command)))
        return program(pod, command)
