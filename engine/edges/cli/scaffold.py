"""`stanch actions new`: a plugin module that works, and the contract test that holds it to the contract."""

from __future__ import annotations

import re
from pathlib import Path

from engine.domain.errors import InvalidInput, Refused

_NAME = re.compile(r"([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)\Z")
_HERE = Path(__file__).parent / "templates"


def scaffold(name: str, into: Path) -> list[Path]:
    """Write `SYSTEM.py` and `tests/test_SYSTEM.py` into a folder and return them.

    Raises:
        InvalidInput: the name is not of the form system.verb.
        Refused: one of the files is there already; nothing is written.
    """
    match = _NAME.match(name)
    if match is None:
        hint = "write for example acme.restart"
        raise InvalidInput(f"{name!r} is no action's name of the form system.verb; {hint}")
    system, verb = match.groups()
    files = {
        into / f"{system}.py": "plugin.py.txt",
        into / "tests" / f"test_{system}.py": "test_plugin.py.txt",
    }
    there = [str(path) for path in files if path.exists()]
    if there:
        raise Refused(f"{', '.join(there)}: is there already; nothing was written")
    words = {"SYSTEM": system, "VERB": verb, "Verb": verb.title().replace("_", "")}
    for path, template in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (_HERE / template).read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        path.write_text(text, encoding="utf-8")
    return list(files)
