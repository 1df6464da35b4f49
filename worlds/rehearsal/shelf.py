"""A folder of artifacts in a rehearsal: a folder of its own, filled from files beside the rehearsal."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from engine.domain.errors import InvalidInput
from engine.domain.rehearsed import Message, NetChange, Scene
from worlds.rehearsal.specs import Spec


class ShelfSpec(Spec):
    """Artifacts that are there at the beginning."""

    files: dict[str, str] = Field(
        {}, description="Files beside the rehearsal, by the names of the artifacts that they are"
    )


class ShelfWorld:
    """The folder; an artifact that is there at the end and was not before is a change."""

    def __init__(self, spec: ShelfSpec, scene: Scene) -> None:
        self._folder = scene.scratch / scene.connection
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, source in spec.files.items():
            path = scene.folder / source
            if not path.is_file():
                raise InvalidInput(f"world {scene.connection}: there is no file {path}")
            place = self._folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
        self._before = self._names()

    def settings(self) -> Mapping[str, Any]:
        return {"folder": self._folder}

    def transport(self, *, writable: bool) -> Any:
        del writable

    def changes(self) -> Sequence[NetChange]:
        after = self._names()
        made = [NetChange(name, what="created") for name in sorted(after - self._before)]
        return [*made, *(NetChange(name, what="deleted") for name in sorted(self._before - after))]

    def messages(self) -> Sequence[Message]:
        return ()

    def unanswered(self) -> Sequence[str]:
        return ()

    def unasked(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        """The folder goes with the rehearsal's own."""

    def _names(self) -> set[str]:
        files = (
            path.relative_to(self._folder) for path in self._folder.rglob("*") if path.is_file()
        )
        return {str(path) for path in files if not path.parts[0].startswith(".")}
