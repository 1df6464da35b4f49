"""A decisions log in a rehearsal: a file of the rehearsal's own, whose lines are messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.domain.rehearsed import Message, NetChange, Scene
from worlds.rehearsal.specs import Spec


class LedgerSpec(Spec):
    """A decisions log that begins empty."""


class LedgerWorld:
    """The log; what is written there is told."""

    def __init__(self, spec: LedgerSpec, scene: Scene) -> None:
        del spec
        self._scene = scene
        self._path = scene.scratch / f"{scene.connection}.log"

    def settings(self) -> Mapping[str, Any]:
        return {"path": self._path}

    def transport(self, *, writable: bool) -> Any:
        del writable

    def changes(self) -> Sequence[NetChange]:
        return ()

    def messages(self) -> Sequence[Message]:
        if not self._path.exists():
            return ()
        now = self._scene.clock.now()
        lines = self._path.read_text().splitlines()
        return [Message(now, self._scene.connection, line) for line in lines]

    def unanswered(self) -> Sequence[str]:
        return ()

    def unasked(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        """The file goes with the rehearsal's folder."""
