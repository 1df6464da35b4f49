"""`stanch check`: every mistake of every file in one go, whatever kinds of file they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from engine.contract.plugins import BrokenPlugin
from engine.contract.registry import Registry, load_registry
from engine.edges.config import Config, check_config, load_config, locate_config, read_config
from engine.edges.rehearsal.checking import check_world, holds_target
from engine.language.diagnostics import Diagnostic, InvalidProject, Report, arranged
from engine.language.project import check_paths
from engine.language.projectfiles import kind_of_file, read_source, shown
from engine.language.yamlnodes import Node


def check_files(
    paths: Iterable[Path | str] = (),
    *,
    config_path: Path | str | None = None,
    registry: Registry | None = None,
) -> list[Diagnostic]:
    """Check files and return every mistake and warning, arranged by file and line.

    Args:
        paths: files or folders of any kind; none means the configuration and all it names.
        config_path: the configuration that says which connections and roles there are, and which other
            files may be named; None looks for it as `load_config` does. A configuration among `paths`
            comes before it. Its own mistakes are always returned: other messages may follow from them.
        registry: the actions; None loads the installed ones and the configuration's.
    """
    given = [Path(path) for path in paths]
    ground = _ground(given, config_path, registry)
    config, actions = ground.config, ground.registry

    def check(root: Node) -> list[Diagnostic]:
        return check_config(root, actions)

    context = [*config.rules, *config.playbooks]
    found = check_paths(
        given or context,
        actions,
        ground.kinds,
        config.roles or None,
        config.secrets,
        context=context,
        config=check,
        world=check_world,
        holds=holds_target,
    )
    broken = [_of_plugin(one) for one in actions.broken]
    return arranged([*found, *ground.mistakes, *broken])


def _of_plugin(broken: BrokenPlugin) -> Diagnostic:
    message = f"the plugin cannot be used: {broken.reason}"
    hint = "mend it or take it away; stanch starts without it, and with all others"
    return Diagnostic(
        shown(Path(broken.file)), broken.line, 1, message, found=broken.plugin, hint=hint
    )


@dataclass(frozen=True)
class _Ground:
    """What the files stand on: the configuration as far as it can be read, and its mistakes."""

    config: Config
    registry: Registry
    kinds: dict[str, str]
    mistakes: list[Diagnostic] = field(default_factory=list)


def _ground(
    given: list[Path], config_path: Path | str | None, registry: Registry | None
) -> _Ground:
    report = Report()
    root = _config_among(given)
    if root is None:
        try:
            path = locate_config(config_path)
        except InvalidProject as error:
            report.diagnostics += error.diagnostics
            path = None
        root = read_source(path, report) if path is not None else None
    if root is None:
        known = registry or load_registry()
        config = load_config(None, known, default=True)
        return _Ground(config, known, config.kinds, report.diagnostics)
    known = registry or load_registry(_folders(root))
    config = read_config(root, known, report) or Config()
    return _Ground(config, known, {**_written_kinds(root), **config.kinds}, report.diagnostics)


def plugin_folders(config_path: Path | str | None = None) -> list[Path]:
    """Return the plugin folders that the configuration names, whatever else is wrong with it.

    Raises:
        InvalidProject: the configuration that was named is not there.
    """
    path = locate_config(config_path)
    root = read_source(path, Report()) if path is not None else None
    return _folders(root) if root is not None else []


def _config_among(paths: list[Path]) -> Node | None:
    for path in paths:
        root = read_source(path, Report()) if path.is_file() else None
        if root is not None and kind_of_file(root) == "config":
            return root
    return None


def _folders(root: Node) -> list[Path]:
    node = root.get("actions")
    texts = [one.value for one in (node.elements() if node is not None else ())]
    return [Path(root.source.name).parent / one for one in texts if isinstance(one, str)]


def _written_kinds(root: Node) -> dict[str, str]:
    """Return the kinds of connections whose settings may be wrong, so that their users are not blamed."""
    node = root.get("connections")
    return {
        name: item.value["kind"]
        for name, item in (node.entries() if node is not None else ())
        if isinstance(item.value, dict) and isinstance(item.value.get("kind"), str)
    }
