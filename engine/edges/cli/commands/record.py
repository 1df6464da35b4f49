"""`stanch record`: a rehearsal out of what the real world answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from engine.domain.canonical import JsonObject
from engine.domain.errors import NotFound
from engine.edges.cli.commands.start import Input
from engine.edges.cli.session import session_of
from engine.edges.problems import FAILED, OK


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    app.command("record", epilog=epilog, rich_help_panel="Write")(record)


def record(
    context: typer.Context,
    playbook: Annotated[str, typer.Argument(metavar="PLAYBOOK", help="The playbook.")],
    given: Input = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="The file to write, NAME.rehearsal.yaml; left out, it is printed."
        ),
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option(
            "--mask", metavar="FIELD", help="A field whose values are not written; repeat it."
        ),
    ] = None,
) -> None:
    """Plan a playbook against the real world and write down what it answered, as a rehearsal.

    Reads really happen and nothing is written there. Secrets are masked, and so are the fields that
    --mask names. What was written is played once, to see that it passes.

    \b
    Examples:
      stanch record etl/assess -i namespace=starforge
      stanch record etl/failure-spike -i namespace=starforge --mask email --out playbooks/etl/tonight.rehearsal.yaml
    """
    from engine.edges.desk.inputs import typed_inputs
    from engine.edges.rehearsal import recording, suite

    session = session_of(context)
    app = session.application()
    try:
        programs = app.playbooks()
        if playbook not in programs:
            raise NotFound(f"there is no playbook {playbook!r}", near=tuple(sorted(programs))[:5])
        inputs = typed_inputs(given or [], programs[playbook].inputs)
        rehearsal, document = recording.record(app, playbook, inputs, mask or ())
    finally:
        app.stop()
    text = recording.written(rehearsal)
    result = suite.play_text(suite.lay_ground(session.configuration()), text, out or Path("-"))
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")
    data: JsonObject = {
        "file": str(out) if out is not None else None,
        "reads": sum(step.state == "read" for step in document.steps),
        "changes": len(document.changes),
        "passes": result.ok,
        "why": result.error or "; ".join(f"{one.what}: {one.seen}" for one in result.misses),
    }
    if out is not None:
        session.show(data, _told)
    elif not result.ok:
        session.warn(f"it does not pass yet: {data['why']}")
    raise typer.Exit(OK if result.ok else FAILED)


def _told(data: JsonObject) -> str:
    passes = "it passes" if data["passes"] else f"it does not pass yet: {data['why']}"
    return f"{data['file']}: {data['reads']} reads and {data['changes']} planned changes recorded; {passes}"
