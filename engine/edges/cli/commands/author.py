"""Commands for those who write playbooks and rules: check, schema."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from engine.domain.errors import NotFound
from engine.edges.cli.render.diagnostics import print_diagnostics
from engine.edges.cli.session import session_of
from engine.edges.problems import OK, USAGE


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    for name, function in (("check", check), ("schema", schema)):
        app.command(name, epilog=epilog, rich_help_panel="Write")(function)


def check(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATHS]...", help="Files or folders; left out, the configuration's."
        ),
    ] = None,
    watching: Annotated[
        bool, typer.Option("--watch", help="Again after every change; Ctrl-C ends it.")
    ] = False,
) -> None:
    """Report every mistake of every file in one go.

    Each with file:line:column, what was found and what was expected.

    \b
    Examples:
      stanch check
      stanch check playbooks/etl rules/etl.yaml --json
      stanch check --watch
    """
    from engine.edges.checking import check_files

    session = session_of(context)
    if watching:
        from engine.edges.cli.watching import keep_at_it

        raise typer.Exit(keep_at_it(session, paths, lambda: check(context, paths)))
    with _nothing_thrown_away():
        diagnostics = check_files(paths or (), config_path=session.config)
    print_diagnostics(diagnostics, as_json=session.as_json, configured=session.config is not None)
    raise typer.Exit(USAGE if any(one.is_error for one in diagnostics) else OK)


@contextmanager
def _nothing_thrown_away() -> Iterator[None]:
    """Spare the collector's rounds: a check makes much and drops little, and looking for that costs a tenth of it."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


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
