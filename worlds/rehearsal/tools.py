"""Local programs in a rehearsal: how each ends is scripted, and none is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from pydantic import Field

from engine.domain.canonical import JsonObject
from engine.domain.rehearsed import Message, NetChange, Scene, Unanswered
from worlds.rehearsal.specs import After, Slot, Span, Spec, choose


class Tool(Spec):
    """A call of a program and its end."""

    program: str = Field(description="The program, by the connection's name for it")
    arguments: list[str] | None = Field(
        None,
        description="What each argument is like; * stands for any characters. Any where left out",
    )
    code: int = Field(0, description="How it ends")
    stdout: str = ""
    stderr: str = ""
    seconds: Span = Field(0.0, description="How long it runs")
    times: int | None = Field(None, ge=1, description="How often; always where left out")
    after: After | None = Field(None, description="Holds only after a step")
    optional: bool = Field(False, description="It need not be run")

    @property
    def title(self) -> str:
        return " ".join([self.program, *(self.arguments or [])])


class ToolsWorld:
    """Ends programs as the rehearsal says."""

    def __init__(self, spec: Sequence[Tool], scene: Scene) -> None:
        self._slots = [Slot(entry) for entry in spec]
        self._scene = scene
        self._ran: dict[str, int] = {}
        self._unanswered: list[str] = []

    def settings(self) -> Mapping[str, Any]:
        return {"records": self._scene.scratch / f"{self._scene.connection}-records"}

    def transport(self, *, writable: bool) -> Any:
        del writable
        return self.run

    def run(self, program: str, arguments: Sequence[str], stdin: bytes) -> JsonObject:
        """Return how a program ended: code, output, errors, seconds."""
        del stdin
        slot = choose(
            self._slots,
            self._scene,
            lambda one: _fits(one, program, arguments),
            self._scene.clock.now(),
        )
        if slot is None:
            call = " ".join([program, *arguments])
            self._unanswered.append(f"{self._scene.connection}: {call}")
            raise Unanswered(self._scene.connection, f"the program {call}")
        slot.used += 1
        self._scene.clock.sleep(slot.entry.seconds)
        self._ran[program] = self._ran.get(program, 0) + 1
        entry = slot.entry
        return {
            "code": entry.code,
            "output": entry.stdout.encode(),
            "errors": entry.stderr.encode(),
            "seconds": entry.seconds,
        }

    def changes(self) -> Sequence[NetChange]:
        return [NetChange(name, what="called", count=count) for name, count in self._ran.items()]

    def messages(self) -> Sequence[Message]:
        return ()

    def unanswered(self) -> Sequence[str]:
        return self._unanswered

    def unasked(self) -> Sequence[str]:
        return [
            f"program {slot.entry.title}"
            for slot in self._slots
            if not slot.entry.optional and slot.used < (slot.entry.times or 1)
        ]

    def close(self) -> None:
        """Nothing is open."""


def _fits(slot: Slot[Tool], program: str, arguments: Sequence[str]) -> bool:
    entry = slot.entry
    if entry.times is not None and slot.used >= entry.times:
        return False
    if entry.program != program:
        return False
    wanted = entry.arguments
    return wanted is None or (
        len(wanted) == len(arguments)
        and all(fnmatchcase(one, like) for one, like in zip(arguments, wanted, strict=True))
    )
