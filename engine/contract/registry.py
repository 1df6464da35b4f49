"""Which actions and connection kinds there are. A plugin with a bad declaration is left out, and named."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from engine.contract.action import Action, ActionParams, Change, Notify, Read
from engine.contract.plugins import BrokenPlugin, Plugin, broken, found
from engine.contract.world import OWN, ConnectionKind
from engine.domain.errors import StanchError

_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\Z")
_KIND = re.compile(r"[a-z][a-z0-9_]*\Z")
_RISKS = ("none", "low", "medium", "high")


class PluginError(StanchError):
    """A plugin declares something that the contract does not allow."""


class Registry:
    """The actions by name and the connection kinds by name, and the plugins that were left out."""

    def __init__(self) -> None:
        self._actions: dict[str, Action[Any]] = {}
        self._kinds: dict[str, ConnectionKind] = {}
        self._plugins: dict[str, str] = {}
        self._broken: list[BrokenPlugin] = []

    @property
    def actions(self) -> dict[str, Action[Any]]:
        return dict(sorted(self._actions.items()))

    @property
    def kinds(self) -> dict[str, ConnectionKind]:
        return dict(sorted(self._kinds.items()))

    @property
    def broken(self) -> tuple[BrokenPlugin, ...]:
        """The plugins that could not be loaded."""
        return tuple(self._broken)

    def action(self, name: str) -> Action[Any]:
        """Raises KeyError where there is none; `check` found that before."""
        return self._actions[name]

    def plugin_of(self, name: str) -> str:
        """Return which plugin an action came with."""
        return self._plugins[name]

    def why_missing(self, name: str) -> str | None:
        """Return which plugin failed that an action or connection kind `name` would have come with, and
        why it failed; None where no failed plugin seems to declare it."""
        for one in self._broken:
            if name in one.names:
                return str(one)
        return None

    def add(self, plugin: str, declaration: type[Any]) -> None:
        """Register one action class or connection kind.

        Raises:
            PluginError: naming `plugin` and what is wrong.
        """
        self._add_all(plugin, [declaration])

    def add_module(self, plugin: str, module: ModuleType) -> None:
        """Register everything in a plugin module's `DECLARATIONS`, a sequence of classes, or nothing.

        Raises:
            PluginError: it has none, or some of them are bad, naming each.
        """
        declarations: Iterable[type[Any]] | None = getattr(module, "DECLARATIONS", None)
        if not isinstance(declarations, list | tuple):
            raise PluginError(f"{plugin}: the module has no DECLARATIONS (a tuple of classes)")
        self._add_all(plugin, declarations)

    def _add_all(self, plugin: str, declarations: Iterable[Any]) -> None:
        actions: dict[str, Action[Any]] = {}
        kinds: dict[str, ConnectionKind] = {}
        problems: list[str] = []
        for one in declarations:
            problem = _problem(one) or self._clash(one, actions, kinds)
            if problem:
                problems.append(f"{getattr(one, '__name__', one)!s}: {problem}")
            elif issubclass(one, ConnectionKind):
                kinds[one.kind] = one()
            else:
                actions[one.name] = one()
        if problems:
            raise PluginError(f"{plugin}: {'; '.join(problems)}")
        self._actions |= actions
        self._kinds |= kinds
        self._plugins |= dict.fromkeys(actions, plugin)

    def _clash(
        self, one: type[Any], actions: dict[str, Action[Any]], kinds: dict[str, ConnectionKind]
    ) -> str | None:
        if issubclass(one, ConnectionKind):
            if one.kind in self._kinds or one.kind in kinds:
                return f"connection kind {one.kind!r} exists already"
            return None
        if one.name in actions:
            return f"action {one.name!r} is declared twice"
        if one.name in self._actions:
            return f"action {one.name!r} exists already, in {self._plugins[one.name]}"
        return None

    def take(self, plugin: Plugin, module: ModuleType | BrokenPlugin) -> None:
        """Register a plugin's declarations, or keep it among the broken ones."""
        if isinstance(module, BrokenPlugin):
            self._broken.append(module)
            return
        try:
            self.add_module(plugin.label, module)
        except PluginError as error:
            reason = str(error).removeprefix(f"{plugin.label}: ")
            self._broken.append(broken(_placed(plugin, module), reason))
        except (Exception, SystemExit) as error:  # noqa: BLE001  its classes and their makers are foreign code
            reason = f"cannot be registered: {type(error).__name__}: {error}"
            self._broken.append(broken(_placed(plugin, module), reason))


def _placed(plugin: Plugin, module: ModuleType) -> Plugin:
    file = getattr(module, "__file__", None)
    return plugin if plugin.file or not file else Plugin(plugin.label, Path(file))


def _problem(declaration: Any) -> str | None:
    if not inspect.isclass(declaration):
        return "is no class; DECLARATIONS lists classes, not instances"
    abstract = sorted(getattr(declaration, "__abstractmethods__", ()))
    if issubclass(declaration, ConnectionKind):
        return _kind_problem(declaration) or _unwritten(abstract)
    if not issubclass(declaration, Read | Change | Notify):
        return "is neither a Read, a Change, a Notify nor a ConnectionKind"
    return _action_problem(declaration) or _unwritten(abstract)


def _action_problem(declaration: Any) -> str | None:
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
    if declaration.risk not in _RISKS:
        return f"its risk {declaration.risk!r} is none of {', '.join(_RISKS)}"
    if issubclass(declaration, Change) and not hasattr(declaration, "protection"):
        return "a Change must declare its protection"
    return None


def _unwritten(abstract: list[str]) -> str | None:
    return f"does not implement {', '.join(abstract)}" if abstract else None


def _kind_problem(declaration: type[ConnectionKind]) -> str | None:
    kind = getattr(declaration, "kind", "")
    if not isinstance(kind, str) or not _KIND.match(kind):
        return f"its kind {kind!r} is no name of small letters, digits and _"
    settings = getattr(declaration, "Settings", None)
    if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
        return "Settings must subclass pydantic's BaseModel"
    taken = sorted(OWN & set(settings.model_fields))
    if taken:
        return f"Settings has {', '.join(taken)}, which the engine reads itself"
    return None


def load_registry(folders: Iterable[Path] = ()) -> Registry:
    """Load every plugin: entry points of `stanch.actions`, then the modules in `folders`.

    Nothing is raised for a plugin that cannot be loaded: it is among `Registry.broken`.
    """
    registry = Registry()
    for plugin, module in found(folders):
        registry.take(plugin, module)
    return registry
