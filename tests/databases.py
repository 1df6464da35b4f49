"""Databases for tests: one is migrated a process, all others are copies of it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from engine.journal.migrate import migrate


@cache
def _template() -> Path:
    home = Path(tempfile.mkdtemp(prefix="stanch-template-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    migrate(f"sqlite:///{home / 'template.db'}")
    return home / "template.db"


def put_database(path: Path) -> Path:
    """Put a migrated SQLite database at `path` where there is none; migrating costs more than most tests."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_template(), path)
    return path
