"""Documents on disk: read as people left them, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.domain.errors import InvalidInput


def given_by(path: Path) -> str | None:
    """Return the document as it lies there, None where there is none yet.

    Raises:
        InvalidInput: it cannot be read; it is then not written over either.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error


def write_document(path: Path, answer: Mapping[str, Any]) -> str:
    """Write a postmortem and its charts beside it; return a line about it.

    Raises:
        InvalidInput: it cannot be written; what lay there before lies there still.
    """
    charts: Mapping[str, str] = answer["charts"]
    text = str(answer["text"])
    for name, svg in charts.items():
        beside = path.with_name(f"{path.stem}-{name}")
        text = text.replace(f"]({name})", f"]({beside.name})")
        _write(beside, svg)
    _write(path, text)
    return f"{path}: version {answer['version']}, {len(charts)} charts"


def _write(path: Path, text: str) -> None:
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error
