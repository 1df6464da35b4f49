"""Which actions and connection kinds there are. A bad declaration fails at start, naming the plugin."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from engine.contract.action import Action, ActionParams, Change, Notify, Read
from engine.contract.world import ConnectionKind
from engine.domain.errors import StanchError

ENTRY_POINTS = "stanch.actions"
_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\Z")


class PluginError(StanchError):
    """A plugin could not be loaded or declares something that the contract does not allow."""


class Registry:
    """The actions by name and the connection kinds by name."""

    def __init__(self) -> None:
        self._actions: dict[str, Action[Any]] = {}
        self._kinds: dict[str, ConnectionKind] = {}

    @property
    def actions(self) -> dict[str, Action[Any]]:
        return dict(sorted(self._actions.items()))

    @property
    def kinds(self) -> dict[str, ConnectionKind]:
        return dict(sorted(self._kinds.items()))

    def action(self, name: str) -> Action[Any]:
        """Raises KeyError where there is none; `check` found that before."""
        return self._actions[name]

    def add(self, plugin: str, declaration: type[Any]) -> None:
        """Register one action class or connection kind.

        Raises:
            PluginError: naming `plugin` and what is wrong.
        """
        if issubclass(declaration, ConnectionKind):
            if declaration.kind in self._kinds:
                raise PluginError(f"{plugin}: connection kind {declaration.kind!r} exists already")
            self._kinds[declaration.kind] = declaration()
            return
        problem = _problem(declaration)
        if problem:
            raise PluginError(f"{plugin}: {declaration.__name__}: {problem}")
        name = declaration.name
        if name in self._actions:
            raise PluginError(f"{plugin}: action {name!r} is declared twice")
        self._actions[name] = declaration()

    def add_module(self, plugin: str, module: ModuleType) -> None:
        """Register everything in a plugin module's `DECLARATIONS`, a sequence of classes.

        Raises:
            PluginError: it has none, or one of them is bad.
        """
        declarations: Iterable[type[Any]] | None = getattr(module, "DECLARATIONS", None)
        if declarations is None:
            raise PluginError(f"{plugin}: the module has no DECLARATIONS (a tuple of classes)")
        for declaration in declarations:
            self.add(plugin, declaration)


def _problem(declaration: type[Any]) -> str | None:
    if not issubclass(declaration, Read | Change | Notify):
        return "is neither a Read, a Change, a Notify nor a ConnectionKind"
    name = getattr(declaration, "name", "")
    if not isinstance(name, str) or not _NAME.match(name):
        return f"its name {name!r} is not of the form system.verb"
    params = getattr(declaration, "Params", None)
    if not (isinstance(params, type) and issubclass(params, ActionParams)):
        return "Params must subclass ActionParams"
    if not getattr(declaration, "summary", ""):
        return "has no summary"
    bare = [key for key, field in params.model_fields.items() if not field.description]
    if bare:
        return f"these parameters have no description: {', '.join(bare)}"
    if issubclass(declaration, Change) and not hasattr(declaration, "protection"):
        return "a Change must declare its protection"
    abstract = sorted(getattr(declaration, "__abstractmethods__", ()))
    if abstract:
        return f"does not implement {', '.join(abstract)}"
    return None


def _modules(folders: Iterable[Path]) -> Iterator[tuple[str, ModuleType]]:
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        label = f"plugin {point.name} ({point.value})"
        try:
            yield label, importlib.import_module(point.value)
        except (
            Exception
        ) as error:  # a plugin is foreign code: whatever it raises is its name's fault
            raise PluginError(f"{label}: cannot be imported: {error}") from error
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            label = f"plugin {path}"
            spec = importlib.util.spec_from_file_location(f"stanch_plugin_{path.stem}", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            try:
                spec.loader.exec_module(module)
            except Exception as error:  # see above
                raise PluginError(f"{label}: cannot be imported: {error}") from error
            yield label, module


def load_registry(folders: Iterable[Path] = ()) -> Registry:
    """Load every plugin: entry points of `stanch.actions`, then the modules in `folders`.

    Raises:
        PluginError: the first plugin that cannot be loaded.
    """
    registry = Registry()
    for label, module in _modules(folders):
        registry.add_module(label, module)
    return registry
