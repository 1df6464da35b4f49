"""Commands for those who write playbooks and rules: check, schema, actions."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.domain.canonical import JsonObject
from engine.domain.errors import NotFound
from engine.edges.cli.session import Session, session_of
from engine.edges.problems import OK, USAGE


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    for name, function in (("check", check), ("schema", schema), ("actions", actions)):
        app.command(name, epilog=epilog, rich_help_panel="Write")(function)


def check(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATHS]...", help="Files or folders; left out, the configuration's."
        ),
    ] = None,
) -> None:
    """Report every mistake of every file in one go.

    Each with file:line:column, what was found and what was expected.

    \b
    Examples:
      stanch check
      stanch check playbooks/etl rules/etl.yaml --json
    """
    from engine.edges.checking import check_files

    session = session_of(context)
    diagnostics = check_files(paths or (), config_path=session.config)
    print_diagnostics(diagnostics, as_json=session.as_json)
    raise typer.Exit(USAGE if any(one.is_error for one in diagnostics) else OK)


def print_diagnostics(diagnostics: Sequence[Any], *, as_json: bool) -> None:
    """Print what is wrong in files; with --json as `{ok, diagnostics}`."""
    from engine.language.diagnostics import formatted

    if as_json:
        import json

        data: JsonObject = {
            "ok": not any(one.is_error for one in diagnostics),
            "diagnostics": [one.as_json() for one in diagnostics],
        }
        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        return
    sys.stdout.write(formatted(diagnostics) or "no mistakes\n")


def schema(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="playbook, rules, conditions, rehearsal or config."),
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", help="Write them all into this folder, for editors.")
    ] = None,
) -> None:
    """Export the JSON Schemas of Stanch's files, with the parameters of the installed actions.

    Name one in a YAML file's first line and the editor completes and checks it:
    # yaml-language-server: $schema=schemas/playbook.json

    \b
    Examples:
      stanch schema playbook
      stanch schema --write schemas
    """
    from engine.contract.registry import load_registry
    from engine.edges import schemas

    session = session_of(context)
    registry = load_registry(session.configuration().actions)
    if write is not None:
        paths = [str(path) for path in schemas.write_schemas(write, registry)]
        session.show({"written": paths}, lambda data: "\n".join(data["written"]))
        return
    if name is None:
        session.show({"items": list(schemas.NAMES)}, lambda data: "\n".join(data["items"]))
        return
    if name not in schemas.NAMES:
        raise NotFound(f"there is no schema {name!r}", near=tuple(schemas.NAMES))
    sys.stdout.write(schemas.written(name, registry))


def actions(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Of one action, to see its parameters.")
    ] = None,
) -> None:
    """List the actions: effect, risk, protection.

    With NAME, one action and its parameters.

    \b
    Examples:
      stanch actions
      stanch actions kubernetes.scale
    """
    session = session_of(context)
    found = _actions(session)
    if name is None:
        session.show({"items": [view for view, _ in found.values()]}, _table)
        return
    if name not in found:
        import difflib

        near = tuple(difflib.get_close_matches(name, found, n=3)) or tuple(found)[:3]
        raise NotFound(f"no action is called {name!r}", near=near)
    view, params = found[name]
    session.show({**view, "params": params.model_json_schema()}, _one)


def _actions(session: Session) -> dict[str, tuple[JsonObject, Any]]:
    from engine.contract.registry import load_registry

    found = {}
    # Without a configuration there are no folders of plugins, and reading none keeps this quick.
    path = session.config or Path(os.environ.get("STANCH_CONFIG") or "stanch.yaml")
    folders = session.configuration().actions if path.exists() or session.config else []
    for name, action in load_registry(folders).actions.items():
        protection = getattr(action, "protection", None)
        view = {
            "name": name,
            "version": action.version,
            "summary": action.summary,
            "effect": action.effect.value,
            "risk": action.risk,
            "protection": protection.value if protection else None,
            "retry_safe": getattr(action, "retry_safe", True),
        }
        found[name] = (view, action.Params)
    return found


def _table(data: JsonObject) -> object:
    from engine.edges.cli.render.style import table

    return table(
        ("ACTION", "EFFECT", "RISK", "PROTECTION", "WHAT IT DOES"),
        (
            (item["name"], item["effect"], item["risk"], item["protection"] or "", item["summary"])
            for item in data["items"]
        ),
    )


def _one(data: JsonObject) -> object:
    from rich.console import Group
    from rich.text import Text

    from engine.edges.cli.render.style import facts, table

    head = facts(
        [
            ("action", Text(data["name"], style="bold")),
            ("", data["summary"]),
            ("effect", data["effect"]),
            ("risk", data["risk"]),
            ("protection", data["protection"]),
            ("version", str(data["version"])),
        ]
    )
    schema_ = data["params"]
    wanted = set(schema_.get("required", ()))
    rows = [
        (
            name,
            _type(field),
            "required" if name in wanted else f"default {field.get('default')!r}",
            field.get("description", ""),
        )
        for name, field in schema_.get("properties", {}).items()
    ]
    return Group(head, Text(), table(("PARAMETER", "TYPE", "", "WHAT IT IS"), rows))


def _type(field: JsonObject) -> str:
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    parts = field.get("anyOf") or field.get("oneOf")
    if parts:
        return " or ".join(dict.fromkeys(_type(part) for part in parts))
    if "enum" in field or "const" in field:
        return " | ".join(map(str, field.get("enum", [field.get("const")])))
    kind = field.get("type", "any")
    if kind == "array" and "items" in field:
        return f"list of {_type(field['items'])}"
    return str(kind)
