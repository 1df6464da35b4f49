"""`stanch runbook`: a playbook as a manual, for the night when Stanch is down."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Annotated

import typer

from engine.domain.errors import InvalidInput, NotFound
from engine.edges.cli.session import session_of


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    app.command("runbook", epilog=epilog, rich_help_panel="Write")(runbook)


def runbook(
    context: typer.Context,
    playbook: Annotated[str, typer.Argument(metavar="PLAYBOOK", help="Its name.")],
    form: Annotated[str, typer.Option("--format", help="md or text.")] = "text",
    given: Annotated[
        list[str] | None, typer.Option("--input", "-i", help="One input as name=value; repeat it.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write it into this file.")] = None,
) -> None:
    """Print a playbook as a manual, step by step with its commands.

    Needs no server, no store and no system: print it while everything is well. Secrets are never printed.

    \b
    Examples:
      stanch runbook etl/failure-spike
      stanch runbook etl/failure-spike -i namespace=starforge --format md --out runbook.md
    """
    from engine.edges.cli import files
    from engine.edges.desk.inputs import typed_inputs
    from engine.edges.runbook.chapters import Manual
    from engine.edges.runbook.written import FORMATS, written

    session = session_of(context)
    if form not in FORMATS:
        raise InvalidInput(f"--format {form!r}: there are {' and '.join(FORMATS)}")
    application = session.application()
    try:
        programs = application.project.playbooks
        if playbook not in programs:
            near = tuple(difflib.get_close_matches(playbook, programs, n=3)) or tuple(programs)[:3]
            raise NotFound(f"no playbook is called {playbook!r}", near=near)
        program = programs[playbook]
        fields = program.inputs.get("properties", {})
        values = typed_inputs(given or (), program.inputs)
        wrong = [name for name in values if fields and name not in fields]
        if wrong:
            raise InvalidInput(f"{playbook} has no input {wrong[0]!r}; it has {', '.join(fields)}")
        config = application.config
        settings = {name: item.settings for name, item in config.connections.items()}
        maker = Manual(application.registry, application.world.names, settings)
        manual = maker.manual(program, values)
    finally:
        application.stop()
    if session.as_json:
        session.show(manual, lambda shown: shown)
        return
    text = written(manual, form)
    if out is None:
        sys.stdout.write(text)
    else:
        files.write_text(out, text)
        session.warn(f"written to {out}")
