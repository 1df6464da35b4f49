"""What was begun and done under which key, on this machine's disk, for effects that nobody else can tell of."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from engine.contract import ActionFailed, Category
from engine.domain.canonical import JsonObject

State = Literal["begun", "done", "failed"]


@dataclass(frozen=True)
class Record:
    """How far an effect came; `value` is what was kept of its outcome."""

    state: State
    value: JsonObject


class Records:
    """One file a key in a folder. Safe to share between threads and processes; on return it is on the disk.

    Raises:
        ActionFailed: (configuration) from every method: the folder cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> Record | None:
        """Return the key's record, or None where nothing was begun."""
        try:
            found = json.loads(self._path(key).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            return None
        except OSError as error:
            raise self._failed(error) from None
        except ValueError:
            return Record("begun", {})  # torn by a crash: it was begun, no more is known
        return Record(cast(State, found["state"]), found["value"])

    def put(self, key: str, state: State, value: JsonObject | None = None) -> None:
        """Keep how far the effect came."""
        path = self._path(key)
        text = json.dumps({"key": key, "state": state, "value": value or {}})
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.new")
            with draft.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise self._failed(error) from None

    def drop(self, key: str) -> None:
        """Forget the key: nothing of its effect reached anybody."""
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error) from None

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

    def _failed(self, error: OSError) -> ActionFailed:
        what = f"records folder {self._folder}: {error.strerror}"
        return ActionFailed(Category.CONFIGURATION, what, effect_possible=False)
