"""What `stanch check` says about the files of `config/bad`; run as a module, it writes it beside them.

After a message changes: `.venv/bin/python -m tests.unit.language.bad_files`, then read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.edges.checking import check_files
from engine.language.diagnostics import formatted
from tests.unit.language.plugins import small_registry

ROOT = Path(__file__).parents[3]
BAD = ROOT / "config" / "bad"
FILES = sorted(BAD.glob("*.yaml"))


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work inside a folder, so that messages name files by their bare names."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def messages(path: Path) -> str:
    """Return all messages about one bad file, as the command prints them."""
    with inside(BAD):
        found = check_files(
            [path.name], config_path="context/stanch.yaml", registry=small_registry()
        )
    return formatted(found)


if __name__ == "__main__":
    for one in FILES:
        one.with_suffix(".expected").write_text(messages(one))
