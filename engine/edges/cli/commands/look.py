"""Commands that look: runs, incidents, alerts, approvals, brakes, show."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.edges.cli.session import session_of

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many, at most.")]
Before = Annotated[str | None, typer.Option("--before", help="Older than this id: the next page.")]


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    for name, function in (
        ("runs", runs),
        ("incidents", incidents),
        ("alerts", alerts),
        ("approvals", approvals),
        ("brakes", brakes),
        ("show", show),
    ):
        app.command(name, epilog=epilog, rich_help_panel="Look")(function)


def _more(context: typer.Context, answer: JsonObject, command: str) -> None:
    if answer["next"]:
        session_of(context).tell(f"more: stanch {command} --before {answer['next']}")


def runs(
    context: typer.Context,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only these states; repeat it.")
    ] = None,
    incident: Annotated[
        str | None, typer.Option("--incident", help="Only of this incident.")
    ] = None,
    playbook: Annotated[
        str | None, typer.Option("--playbook", help="Only of this playbook.")
    ] = None,
    limit: Limit = 20,
    before: Before = None,
) -> None:
    """List runs, newest first.

    \b
    Examples:
      stanch runs --state awaiting_approval --state held
      stanch runs --playbook etl/failure-spike
    """
    from engine.edges.cli.render import run as render

    session = session_of(context)
    with session.backend() as backend:
        answer = backend.list(
            "runs",
            limit=limit,
            before=before,
            states=list(state or ()),
            incident=incident,
            playbook=playbook,
        )
    session.show(answer, lambda data: render.runs(data["items"]))
    _more(context, answer, "runs")


def incidents(
    context: typer.Context,
    open_only: Annotated[
        bool, typer.Option("--open", help="Only those that are not over.")
    ] = False,
    limit: Limit = 20,
    before: Before = None,
) -> None:
    """List incidents, newest first.

    \b
    Examples:
      stanch incidents --open
    """
    from engine.edges.cli.render import incident as render

    session = session_of(context)
    with session.backend() as backend:
        answer = backend.list("incidents", limit=limit, before=before, open_only=open_only)
    session.show(answer, lambda data: render.incidents(data["items"]))
    _more(context, answer, "incidents")


def alerts(
    context: typer.Context,
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", help="Only with name=value; repeat it.")
    ] = None,
    limit: Limit = 20,
    before: Before = None,
) -> None:
    """List alerts, newest first. `stanch show ALERT` says what the rules decided, and why.

    \b
    Examples:
      stanch alerts --label namespace=starforge
    """
    from engine.edges.cli.render import incident as render

    labels = {}
    for text in label or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(f"--label {text!r} is not of the form name=value")
        labels[name] = value
    session = session_of(context)
    with session.backend() as backend:
        answer = backend.list("alerts", limit=limit, before=before, labels=labels)
    session.show(answer, lambda data: render.alerts(data["items"]))
    _more(context, answer, "alerts")


def approvals(
    context: typer.Context,
    closed: Annotated[bool, typer.Option("--all", help="Closed gates too.")] = False,
) -> None:
    """List the gates that wait for people.

    \b
    Examples:
      stanch approvals
    """
    from engine.edges.cli.render import run as render

    session = session_of(context)
    with session.backend() as backend:
        answer = backend.list("approvals", closed=closed)
    session.show(answer, lambda data: render.gates(data["items"]))


def brakes(context: typer.Context) -> None:
    """Show all brakes: who set what and why, what is used of budgets, who holds locks, windows, pages.

    \b
    Examples:
      stanch brakes --json
    """
    from engine.edges.cli.render import brakes as render

    session = session_of(context)
    with session.backend() as backend:
        answer = backend.list("brakes")
    session.show(answer, render.brakes)


def show(
    context: typer.Context,
    text: Annotated[
        str, typer.Argument(metavar="ID", help="Of a run, incident, alert, gate, or a fingerprint.")
    ],
    timeline: Annotated[
        bool, typer.Option("--timeline", help="For a run: every entry of its journal.")
    ] = False,
) -> None:
    """Show one thing by its id.

    Or by the id's unique beginning or end.

    \b
    Examples:
      stanch show run-01hq3v7x5k2m9n4p
      stanch show 9n4p
      stanch show 9f86d081 (a plan)
    """
    session = session_of(context)
    with session.backend() as backend:
        found = backend.show(text)
        if timeline and found["kind"] == "run":
            found["item"]["timeline"] = _all_entries(backend, found["item"]["id"])
    session.show(found, _rendered)


def _all_entries(backend: Any, run: str) -> list[JsonObject]:
    entries: list[JsonObject] = []
    while True:
        page = backend.entries(run, entries[-1]["n"] if entries else 0)["entries"]
        if not page:
            return entries
        entries += page


def _rendered(found: JsonObject) -> object:
    from rich.console import Group
    from rich.text import Text

    from engine.edges.cli.render import incident, plan, run

    renderers: dict[str, Any] = {
        "run": run.run,
        "gate": run.gate,
        "plan": plan.plan,
        "incident": incident.incident,
        "alert": incident.alert,
    }
    item = found["item"]
    shown = renderers[found["kind"]](item)
    if found["kind"] == "run" and item.get("timeline"):
        return Group(shown, Text(), incident.timeline(item["timeline"]))
    return shown
