"""From rehearsal files to forms with their places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.language.diagnostics import Diagnostic, described
from engine.language.explain import Report, read_form
from engine.language.rehearsalforms import RehearsalFile
from engine.language.yamlsource import MAX_BYTES, Node, compose_all

SUFFIXES = (".rehearsal.yaml", ".rehearsal.yml")
_ELSEWHERE = {
    "name": "the rehearsal's name is the value of rehearsal:",
    "title": "the rehearsal's name is the value of rehearsal:",
    "steps": "what steps must come to stands under expect: steps:",
    "run": "what the run must come to stands under expect: run:",
    "changes": "changes stand under expect:",
    "messages": "messages stand under expect:",
    "order": "the order stands under expect:",
    "gates": "what people do stands under people:, what gates come to under expect:",
    "start": "write clock:",
    "worlds": "write world:",
    "connections": "write world:, by connection",
}


@dataclass(eq=False)
class Rehearsal:
    """One document of a rehearsal file. `form` is None where it cannot be used."""

    node: Node
    form: RehearsalFile | None
    path: Path

    @property
    def name(self) -> str:
        value = self.node.at("rehearsal").value
        return value if isinstance(value, str) else ""

    @property
    def place(self) -> str:
        """`file:line` of its name, for messages."""
        return f"{self.node.source.name}:{self.node.at('rehearsal').line}"


def is_rehearsal(path: Path) -> bool:
    """Tell by its name whether a file holds rehearsals; they are read only when they are wanted."""
    return path.name.endswith(SUFFIXES)


def rehearsal_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the rehearsal files among paths and in the folders among them, each once, in order."""
    seen: set[Path] = set()
    for path in paths:
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        for one in found:
            wanted = is_rehearsal(one) if path.is_dir() else True
            if wanted and one.is_file() and one.resolve() not in seen:
                seen.add(one.resolve())
                yield one


def read_rehearsals(path: Path, name: str, report: Report) -> list[Rehearsal]:
    """Read every document of a file; report what is wrong with each.

    Args:
        name: what messages call the file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        report.diagnostics.append(Diagnostic(name, 1, 1, message, hint="check its rights"))
        return []
    roots, found = compose_all(data, name)
    report.diagnostics += found
    if not roots and not found:
        hint = "begin with rehearsal:, or remove the file"
        report.diagnostics.append(Diagnostic(name, 1, 1, "the file is empty", hint=hint))
    return [_read(root, path, report) for root in roots]


def _read(root: Node, path: Path, report: Report) -> Rehearsal:
    if isinstance(root.value, dict) and "rehearsal" not in root.keys and root.sound:
        report.error(
            root,
            "this is no rehearsal",
            found=described(root.value),
            expected="a top-level key rehearsal",
            hint="begin with rehearsal: what it shows",
        )
        return Rehearsal(root, None, path)
    form = read_form(RehearsalFile, root, report, what="the rehearsal", sections=_ELSEWHERE)
    return Rehearsal(root, form, path)
