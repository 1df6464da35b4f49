"""Where plugins are found and imported: installed entry points first, then the folders of the configuration.

A plugin is foreign code. One that cannot be used is left out whole, with its reason, and takes no other down.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ENTRY_POINTS = "stanch.actions"
_OWN = "stanch"  # this distribution: its plugins come first, so that no other can take their names
_DECLARED = re.compile(r"""\b(?:name|kind)\b[^=\n]*=\s*["']([a-z][a-z0-9_.]*)["']""")
_MOST_SOURCE = 200  # files of a package that are looked through for names


@dataclass(frozen=True)
class Plugin:
    """One plugin: how messages call it, and the file that it begins in, where it is known."""

    label: str
    file: Path | None = None


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that was left out.

    Attributes:
        plugin: how messages call it.
        reason: what is wrong, for people, in one line.
        file, line: where to look.
        names: the actions and connection kinds that its text seems to declare.
    """

    plugin: str
    reason: str
    file: str
    line: int = 1
    names: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.plugin}: {self.reason}"


def found(folders: Iterable[Path]) -> Iterator[tuple[Plugin, ModuleType | BrokenPlugin]]:
    """Import every plugin there is; one that cannot be imported is yielded as broken."""
    points = importlib.metadata.entry_points(group=ENTRY_POINTS)
    name_of = functools.cache(_name)
    for point in sorted(points, key=lambda one: (name_of(one.dist) != _OWN, one.name, one.value)):
        plugin = Plugin(f"plugin {point.name} ({point.value})")
        try:
            yield plugin, importlib.import_module(point.module)
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever it raises is its own fault
            plugin = Plugin(plugin.label, _origin(point.module))
            yield plugin, _not_imported(plugin, error)
    for folder in folders:
        if not folder.is_dir():
            plugin = Plugin(f"plugin folder {folder}", folder)
            yield (
                plugin,
                broken(plugin, "there is no such folder; check actions: in the configuration"),
            )
            continue
        for path in sorted(folder.glob("*.py")):
            plugin = Plugin(f"plugin {path}", path)
            yield plugin, _loaded(plugin, path)


def _name(distribution: importlib.metadata.Distribution | None) -> str:
    """Return its name, which is read and parsed out of its metadata each time."""
    return distribution.name if distribution is not None else ""


def _loaded(plugin: Plugin, path: Path) -> ModuleType | BrokenPlugin:
    name = f"stanch_plugin_{path.stem}"
    try:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001  see above
        sys.modules.pop(name, None)
        return _not_imported(plugin, error)
    return module


def broken(plugin: Plugin, reason: str, line: int = 1) -> BrokenPlugin:
    """Return the record of a plugin that is left out."""
    file = str(plugin.file) if plugin.file else plugin.label
    return BrokenPlugin(plugin.label, reason, file, line, _names(plugin.file))


def _not_imported(plugin: Plugin, error: BaseException) -> BrokenPlugin:
    said = " ".join(str(error).split()) or "no message"
    return broken(
        plugin, f"cannot be imported: {type(error).__name__}: {said}", _line(plugin, error)
    )


def _line(plugin: Plugin, error: BaseException) -> int:
    """Return the line of the plugin's own file where it went wrong."""
    own = str(plugin.file.absolute()) if plugin.file else ""  # imports name files in full
    if isinstance(error, SyntaxError) and error.filename == own:
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 1 for frame in reversed(frames) if frame.filename == own), 1)


def _origin(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (Exception, SystemExit):  # noqa: BLE001  the packages above it are foreign code too
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


def _names(file: Path | None) -> frozenset[str]:
    """Return the names that a plugin's text seems to declare; it is read, not run."""
    if file is None or not file.is_file():
        return frozenset()
    files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    names: set[str] = set()
    for one in files[:_MOST_SOURCE]:
        try:
            names.update(_DECLARED.findall(one.read_text(encoding="utf-8", errors="replace")))
        except OSError:
            continue
    return frozenset(names)
