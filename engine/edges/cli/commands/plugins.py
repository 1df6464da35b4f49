"""Commands about actions: which there are, one of them in full."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.domain.canonical import JsonObject
from engine.domain.errors import NotFound
from engine.edges.cli.session import Session, session_of


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    room = typer.Typer(
        help="List the actions there are, show one, begin one of your own.", rich_markup_mode=None
    )
    room.callback(invoke_without_command=True, epilog=epilog)(listed)
    room.command("show", epilog=epilog)(show)
    room.command("new", epilog=epilog)(new)
    app.add_typer(room, name="actions", rich_help_panel="Write")


def listed(context: typer.Context) -> None:
    """List the actions: effect, risk, protection, parameters. Plugins that are left out are named, with the reason.

    \b
    Examples:
      stanch actions
      stanch actions show kubernetes.scale
      stanch actions new acme.restart --into plugins
    """
    if context.invoked_subcommand is not None:
        return
    session = session_of(context)
    registry = registry_of(session)
    data: JsonObject = {
        "items": [_view(registry, name) for name in registry.actions],
        "broken": [
            {"plugin": one.plugin, "reason": one.reason, "file": one.file, "line": one.line}
            for one in registry.broken
        ],
    }
    session.show(data, _table)
    if not session.as_json:
        for one in registry.broken:
            session.warn(f"left out: {one}")


def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="An action, such as s3.put.")],
) -> None:
    """Show one action: what it does, how its effect is protected, its parameters.

    \b
    Examples:
      stanch actions show kubernetes.scale
      stanch actions show postgres.execute --json
    """
    session = session_of(context)
    registry = registry_of(session)
    if name not in registry.actions:
        why = registry.why_missing(name)
        if why is not None:
            raise NotFound(f"the action {name} is missing, since its plugin is left out: {why}")
        near = tuple(difflib.get_close_matches(name, registry.actions, n=3))
        raise NotFound(f"no action is called {name!r}", near=near or tuple(registry.actions)[:3])
    params = registry.action(name).Params
    session.show({**_view(registry, name), "params": params.model_json_schema()}, _one)


def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="system.verb, such as acme.restart.")],
    into: Annotated[
        Path, typer.Option("--into", help="The folder; name it under actions: as well.")
    ] = Path("plugins"),
) -> None:
    """Begin an action of your own: a plugin module that works, and its contract test.

    \b
    Examples:
      stanch actions new acme.restart --into plugins
      pytest plugins/tests
    """
    from engine.edges.cli.scaffold import scaffold

    session = session_of(context)
    paths = [str(path) for path in scaffold(name, into)]
    session.show({"written": paths}, lambda data: "\n".join(data["written"]))
    session.warn(f"now: pytest {into / 'tests'}, and actions: [{into}] in the configuration")


def registry_of(session: Session) -> Any:
    """Return the actions that this configuration sees; without one, the installed ones."""
    from engine.contract.registry import load_registry

    # Without a configuration there are no folders of plugins, and reading none keeps this quick.
    path = session.config or Path(os.environ.get("STANCH_CONFIG") or "stanch.yaml")
    if not (path.exists() or session.config):
        return load_registry()
    # A mistake elsewhere in the configuration must not keep anybody from seeing the actions.
    from engine.edges.checking import plugin_folders

    return load_registry(plugin_folders(session.config))


def _view(registry: Any, name: str) -> JsonObject:
    action = registry.action(name)
    protection = getattr(action, "protection", None)
    fields = action.Params.model_fields
    return {
        "name": name,
        "version": action.version,
        "summary": action.summary,
        "effect": action.effect.value,
        "risk": action.risk,
        "protection": protection.value if protection else None,
        "retry_safe": protection.retry_safe if protection else True,
        "parameters": [key if field.is_required() else f"{key}?" for key, field in fields.items()],
        "plugin": registry.plugin_of(name),
    }


def _table(data: JsonObject) -> object:
    from engine.edges.cli.render.style import table

    return table(
        ("ACTION", "EFFECT", "RISK", "PROTECTION", "WHAT IT DOES", "PARAMETERS"),
        (
            (
                *(item["name"], item["effect"], item["risk"], item["protection"] or ""),
                *(item["summary"], " ".join(item["parameters"])),
            )
            for item in data["items"]
        ),
    )


def _one(data: JsonObject) -> object:
    from rich.console import Group
    from rich.text import Text

    from engine.edges.cli.render.style import facts, table
    from engine.edges.reference import type_text

    head = facts(
        [
            ("action", Text(data["name"], style="bold")),
            ("", data["summary"]),
            ("effect", data["effect"]),
            ("risk", data["risk"]),
            ("protection", data["protection"]),
            ("version", str(data["version"])),
            ("from", data["plugin"]),
        ]
    )
    schema_ = data["params"]
    wanted = set(schema_.get("required", ()))
    rows = [
        (
            name,
            type_text(field),
            "required" if name in wanted else f"default {field.get('default')!r}",
            field.get("description", ""),
        )
        for name, field in schema_.get("properties", {}).items()
    ]
    return Group(head, Text(), table(("PARAMETER", "TYPE", "", "WHAT IT IS"), rows))
