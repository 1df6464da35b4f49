"""`stanch check`: every mistake of every file in one go, whatever kinds of file they are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.contract.registry import Registry
from engine.edges.config import Config, check_config, load_config, read_config
from engine.language.diagnostics import Diagnostic, InvalidProject
from engine.language.explain import Report
from engine.language.project import check_paths, kind_of_file, read_source
from engine.language.yamlsource import Node


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
            comes before it.
        registry: the actions; None loads the installed ones and the configuration's.

    Raises:
        PluginError: a plugin cannot be loaded.
    """
    given = [Path(path) for path in paths]
    try:
        config = _given_config(given, registry) or load_config(config_path, registry)
    except InvalidProject as error:
        if not given:
            return error.diagnostics
        config = Config()
    if registry is None:
        from engine.contract.registry import load_registry

        registry = load_registry(config.actions)
    chosen = registry

    def check(root: Node) -> list[Diagnostic]:
        return check_config(root, chosen)

    context = [*config.rules, *config.playbooks]
    if not given:
        given = ([config.path] if config.path is not None else []) + context
    return check_paths(
        given,
        chosen,
        config.kinds,
        config.roles or None,
        config.secrets,
        context=context,
        config=check,
    )


def _given_config(paths: list[Path], registry: Registry | None) -> Config | None:
    """Return the configuration among the paths, as far as it can be read."""
    for path in paths:
        if not path.is_file():
            continue
        root = read_source(path, Report())
        if root is not None and kind_of_file(root) == "config":
            return read_config(root, registry, Report()) or Config()
    return None
