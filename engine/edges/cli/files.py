"""Files that commands write for people: whole or not at all, and never over something else."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput

_LARGEST = 32 * 2**20  # bytes of a plan file


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write a file whole; an interrupted write leaves what was there before.

    Args:
        private: readable by its owner alone.

    Raises:
        InvalidInput: it cannot be written there.
    """
    scratch = None
    try:
        number, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        mode = 0o600 if private else 0o666 & ~_umask()
        Path(scratch).chmod(mode)
        Path(scratch).replace(path)
        scratch = None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error
    finally:
        if scratch is not None:
            Path(scratch).unlink(missing_ok=True)


def _umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found


def write_plan(path: Path, saved: JsonObject) -> None:
    """Write a plan file; an older plan file is replaced, anything else is left alone.

    Raises:
        InvalidInput: something else has that name, or it cannot be written.
    """
    if path.exists() and not _is_plan(path):
        raise InvalidInput(f"{path} exists and is no plan file; choose another name for --out")
    write_text(path, json.dumps(saved, indent=1, ensure_ascii=False) + "\n", private=True)


def read_plan(path: Path) -> JsonObject:
    """Return the content of a plan file; whether it is whole is judged by whoever applies it.

    Raises:
        InvalidInput: it cannot be read, or is no plan file.
    """
    found = _read(path)
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} is no plan file; stanch plan PLAYBOOK --out FILE makes one")
    return found


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > _LARGEST:
            raise InvalidInput(f"{path} is larger than any plan file")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError):
        return None


def _is_plan(path: Path) -> bool:
    try:
        found = _read(path)
    except InvalidInput:
        return False
    return isinstance(found, dict) and found.get("kind") == "stanch.plan"
