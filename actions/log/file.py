"""The `decisions` connection: a file that lines are only ever added to, each durably and once."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from pydantic import BaseModel, ConfigDict, Field

from actions.disk import category_of
from engine.contract import ActionFailed, Category, ConnectionKind, Opening, Target

_BLOCK = 64 * 1024


class DecisionsSettings(BaseModel):
    """Settings of a `decisions` connection."""

    model_config = ConfigDict(extra="forbid")

    path: Path = Field(description="The log file", examples=["var/decisions.log"])


class DecisionsLog:
    """Appends lines under a lock that other processes honour too."""

    def __init__(self, opening: Opening) -> None:
        self._name = opening.name
        self._path = cast(DecisionsSettings, opening.settings).path
        self._writable = opening.writable

    def append(self, line: str, ending: str) -> bool:
        """Add `line`, which ends in `ending`, unless a line with that end is there already.

        Returns:
            Whether it was added. On return it is on the disk.

        Raises:
            ActionFailed: classified by the operating system's error.
        """
        assert line.endswith(ending)
        assert "\n" not in line
        if not self._writable:
            what = f"decisions log {self._path}: this world is read-only; nothing was written"
            raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
        with self._opened(os.O_RDWR | os.O_CREAT | os.O_APPEND) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _has_line(file, ending):
                return False
            # A crash may have torn the last line: it stays as it is, and ours starts a new one.
            size = os.fstat(file).st_size
            torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            data = (("\n" if torn else "") + line + "\n").encode()
            while data:
                data = data[os.write(file, data) :]
            os.fsync(file)
            return True

    def has(self, ending: str) -> bool:
        """Whether a line with that end is in the log."""
        if not self._path.exists():
            return False
        with self._opened(os.O_RDONLY) as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return _has_line(file, ending)

    @contextmanager
    def _opened(self, flags: int) -> Iterator[int]:
        try:
            if flags & os.O_CREAT:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, flags, 0o640)
        except OSError as error:
            raise self._failed(error, possible=False) from None
        try:
            yield file
        except OSError as error:
            raise self._failed(error, possible=True) from None
        finally:
            os.close(file)

    def _failed(self, error: OSError, *, possible: bool) -> ActionFailed:
        what = f"decisions log {self._path}: {error.strerror}"
        return ActionFailed(category_of(error), what, effect_possible=possible)


def _has_line(file: int, ending: str) -> bool:
    """Look for a line with that end, also the last one where its newline is missing."""
    wanted = ending.encode()
    offset, rest = 0, b""
    while block := os.pread(file, _BLOCK, offset):
        offset += len(block)
        *lines, rest = (rest + block).split(b"\n")
        if any(line.endswith(wanted) for line in lines):
            return True
    return rest.endswith(wanted)


class DecisionsKind(ConnectionKind):
    """Connections to a decisions log. The configuration's `decisions_log` makes one named `decisions`."""

    kind = "decisions"
    Settings = DecisionsSettings

    def open(self, opening: Opening) -> DecisionsLog:
        return DecisionsLog(opening)

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        del settings, target
        return None

    def check(self, client: DecisionsLog) -> Mapping[str, str]:
        folder = client._path.parent
        if client._path.exists() and not os.access(client._path, os.W_OK):
            what = f"decisions log {client._path}: this user may not write it"
            raise ActionFailed(Category.CONFIGURATION, what, effect_possible=False)
        return {"path": str(client._path), "folder exists": str(folder.exists()).lower()}
