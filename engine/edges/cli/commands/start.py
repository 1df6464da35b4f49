"""Commands that plan and start runs, and follow them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.edges.cli.session import session_of
from engine.edges.desk.inputs import typed_inputs

Playbook = Annotated[
    str | None,
    typer.Argument(metavar="[PLAYBOOK]", help="Its name; left out, the alert's rule says which."),
]
Input = Annotated[
    list[str] | None, typer.Option("--input", "-i", help="One input as name=value; repeat it.")
]
Inputs = Annotated[Path | None, typer.Option("--inputs", help="A YAML or JSON file of inputs.")]


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    for name, function in (("plan", plan), ("run", run), ("follow", follow_run)):
        app.command(name, epilog=epilog, rich_help_panel="Plan and run")(function)


def plan(  # noqa: PLR0917  typer takes options by name
    context: typer.Context,
    playbook: Playbook = None,
    given: Input = None,
    inputs: Inputs = None,
    alert: Annotated[
        str | None,
        typer.Option("--alert", help="A file with an alert, or the id of a stored one."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Save the plan in this file, for stanch run --plan FILE."),
    ] = None,
    graph: Annotated[
        bool, typer.Option("--graph", help="Show the playbook as a graph, with this plan's states.")
    ] = False,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write the graph as SVG.")] = None,
) -> None:
    """Show what a run would change, before and after. No target is written to.

    \b
    Examples:
      stanch plan etl/failure-spike --input namespace=starforge
      stanch plan --alert alert.json --json
      stanch plan etl/failure-spike -i namespace=starforge --graph --svg plan.svg
      stanch plan etl/failure-spike -i namespace=starforge --out tonight.plan
    """
    from engine.edges.cli import files
    from engine.edges.cli.render import plan as render

    session = session_of(context)
    with session.backend() as backend:
        values = _inputs(backend, playbook, given, inputs)
        document = backend.preview(playbook, values, _alert(alert), save=out is not None)
    title = f"{document['playbook']}  {document['fingerprint'][:16]}"
    if out is not None:
        files.write_plan(out, document.pop("saved"))
        session.warn(f"saved in {out}; apply it with: stanch run --plan {out}")
    if svg is not None:
        from engine.edges.drawing.flow import flow_svg

        files.write_text(svg, flow_svg(document["graph"], title))
        session.warn(f"drawn in {svg}")
    if graph and not session.as_json:
        from engine.edges.cli.render.graph import graph as tree

        session.show(document, lambda shown: tree(shown["graph"], title))
    else:
        session.show(document, render.plan)
    if any(step["state"] in {"unplannable", "failed"} for step in document["steps"]):
        raise typer.Exit(1)


def run(  # noqa: PLR0917  typer takes options by name
    context: typer.Context,
    playbook: Playbook = None,
    given: Input = None,
    inputs: Inputs = None,
    alert: Annotated[
        str | None, typer.Option("--alert", help="The id of a stored alert that it is for.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan it and end.")] = False,
    auto: Annotated[
        bool,
        typer.Option("--auto", help="No gate before the first change; needs an approver's role."),
    ] = False,
    priority: Annotated[
        int, typer.Option("--priority", min=0, max=9, help="9 is the most urgent.")
    ] = 5,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            help="Apply a plan saved by stanch plan --out; refused where it no longer holds.",
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Go on following while it waits for people.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Start it and leave it to the server.")
    ] = False,
) -> None:
    """Start a run and follow it. Where it waits for a person, the gate is shown and the exit code is 4.

    \b
    Examples:
      stanch run etl/failure-spike -i namespace=starforge
      stanch run etl/failure-spike --inputs inputs.yaml --dry-run
      stanch run --alert alr-01hq3v7x5k2m9n4p
      stanch run --plan tonight.plan
    """
    from engine.edges.cli import files
    from engine.edges.cli.follow import follow
    from engine.edges.cli.render.run import runs

    if dry_run and auto:
        raise InvalidInput("--dry-run and --auto exclude each other")
    mode = "dry_run" if dry_run else "auto" if auto else "approve"
    session = session_of(context)
    with session.backend() as backend:
        values = _inputs(backend, playbook, given, inputs)
        saved = files.read_plan(plan) if plan is not None else None
        line = backend.start(
            playbook, values, mode=mode, priority=priority, alert=alert, plan=saved
        )
        if detach:
            session.show(line, lambda item: runs([item]))
            return
        session.tell(f"{line['id']}  {line['playbook']}")
        backend.work()
        code = follow(session, backend, line["id"], wait=wait)
    raise typer.Exit(code)


def follow_run(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or its beginning or end.")],
    wait: Annotated[
        bool, typer.Option("--wait", help="Go on following while it waits for people.")
    ] = False,
) -> None:
    """Follow a run from its beginning.

    On a local store this process also works on it.

    \b
    Examples:
      stanch follow 9n4p --wait
    """
    from engine.edges.cli.follow import follow

    session = session_of(context)
    with session.backend() as backend:
        line = backend.run(run)
        backend.work()
        code = follow(session, backend, line["id"], wait=wait)
    raise typer.Exit(code)


# ---------------------------------------------------------------- inputs


def _inputs(
    backend: Any, playbook: str | None, given: list[str] | None, file: Path | None
) -> JsonObject:
    values: JsonObject = _mapping(file) if file is not None else {}
    if not given:
        return values
    if playbook is None:
        raise InvalidInput("--input needs a PLAYBOOK; with --alert alone the rule gives the inputs")
    schema = backend.playbook(playbook)["inputs"]
    return {**values, **typed_inputs(given, schema)}


def _mapping(file: Path) -> JsonObject:
    values = _document(file)
    if not isinstance(values, dict):
        raise InvalidInput(f"{file} holds no mapping of input names to values")
    return values


def _alert(text: str | None) -> str | JsonObject | None:
    """Return an alert: the content of a file of that name, else the id as it is."""
    if text is None or not (Path(text).exists() or Path(text).suffix):
        return text
    alert = _document(Path(text))
    if not isinstance(alert, dict):
        raise InvalidInput(
            f"{text} holds no alert: a mapping with labels and annotations is wanted"
        )
    return alert


def _document(file: Path) -> Any:
    from engine.language.diagnostics import InvalidProject
    from engine.language.yamlcompose import compose

    try:
        source = file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error
    node, diagnostics = compose(source, str(file))
    if node is None or any(one.is_error for one in diagnostics):
        raise InvalidProject(diagnostics)
    return node.value
