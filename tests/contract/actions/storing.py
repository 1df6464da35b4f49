"""An artifacts connection for cases whose actions leave or read files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actions.artifacts import ArtifactsKind
from tests.contract.actions.cases import Case
from tests.contract.actions.worlds import Connections


def files(folder: Path) -> Any:
    """Every artifact with its content and mode; drafts and notes are the store's own."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), oct(path.stat().st_mode))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not str(path.relative_to(folder)).startswith(".")
    }


def overwrite(path: Path) -> None:
    """Put another content there, as others would."""
    path.write_bytes(b"others")


def add_store(made: Connections, folder: Path, name: str = "kept", **settings: Any) -> Connections:
    """Add an artifacts connection."""
    made.settings = {**made.settings, name: (ArtifactsKind(), {"folder": folder, **settings})}
    return made


def with_store(request: pytest.FixtureRequest, case: Case) -> Path:
    """Give the case and its faults an artifacts connection, whose files are part of the state."""
    folder: Path = request.getfixturevalue("tmp_path") / "artifacts"
    for made in [case.connections, *(fault.connections for fault in case.faults.values())]:
        add_store(made, folder)
    rest = case.state
    case.state = lambda: (rest(), files(folder))
    return folder
