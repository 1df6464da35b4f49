"""From rehearsal files to forms with their places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.language.diagnostics import Report, clipped, described, listed, suggestion
from engine.language.explain import read_form
from engine.language.rehearsalforms import RehearsalFile
from engine.language.yamlfiles import read_documents
from engine.language.yamlnodes import Node

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
    roots = read_documents(path, name, report, begin="rehearsal:")
    rehearsals = [_read(root, path, report) for root in roots]
    _inherit(rehearsals, report)
    return rehearsals


def _inherit(rehearsals: list[Rehearsal], report: Report) -> None:
    """Complete the worlds that take over those of earlier rehearsals of the file."""
    worlds: dict[str, Mapping[str, Any]] = {}
    for one in rehearsals:
        if one.name in worlds:
            report.error(
                one.node.at("rehearsal"),
                "this name is used a second time in the file",
                hint="say what is different",
            )
        if one.form is None:
            continue
        if one.form.world_of is not None:
            base = worlds.get(one.form.world_of)
            if base is None:
                report.error(
                    one.node.at("world_of"),
                    f"there is no rehearsal {clipped(one.form.world_of)} before this one",
                    expected=listed(worlds),
                    hint=suggestion(one.form.world_of, worlds),
                )
            else:
                world = merged(base, one.form.world)
                one.form = one.form.model_copy(update={"world": world})
        worlds[one.name] = one.form.world


# What says which call an entry of a list answers; the rest of it is the answer.
_SUBJECT = ("query", "matching", "method", "path", "body", "action", "with", "program", "arguments")


def merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a world with another's entries where it has none of its own.

    Of a mapping, keys of its own stand instead; of a list, entries about the same call do. What is taken
    over of a list need not be asked for.
    """
    result = {name: _kept(entry, []) for name, entry in base.items()}
    for name, entry in own.items():
        inherited = base.get(name)
        if isinstance(entry, list) and isinstance(inherited, list):
            result[name] = [*entry, *_kept(inherited, entry)]
        elif isinstance(entry, dict) and isinstance(inherited, dict):
            result[name] = {**inherited, **entry}
        else:
            result[name] = entry
    return result


def _kept(entry: Any, own: list[Any]) -> Any:
    """Return what is taken over of an entry, less what speaks of the same calls as `own`."""
    if not isinstance(entry, list):
        return entry
    mine = [_subject(one) for one in own]
    return [
        {**one, "optional": True} if isinstance(one, dict) else one
        for one in entry
        if _subject(one) not in mine
    ]


def _subject(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {name: entry[name] for name in _SUBJECT if name in entry}


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
