"""`stanch top`: runs, batches, queues, gates and success, as they change; `stanch metrics`: as they were."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from engine.edges.cli.session import session_of

EVERY = 1.0  # seconds between two looks where nothing wakes us


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    app.command("top", epilog=epilog, rich_help_panel="Look")(top)
    app.command("metrics", epilog=epilog, rich_help_panel="Look")(metrics)


def top(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Show it once and end.")] = False,
) -> None:
    """Watch runs, batches, queues, gates, success rate and errors. Ctrl-C ends it.

    With --json one document, once.

    \b
    Examples:
      stanch top
      stanch top --once --json
    """
    from datetime import UTC, datetime

    from engine.edges.cli.overview import overview
    from engine.edges.cli.render.top import top as rendered

    session = session_of(context)
    with session.backend() as backend:
        if once or session.as_json or not session.is_terminal:
            session.show(overview(backend, datetime.now(UTC)), rendered)
            return
        from rich.live import Live

        first = rendered(overview(backend, datetime.now(UTC)))
        with Live(first, console=session.console(), screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(EVERY)
                live.update(rendered(overview(backend, datetime.now(UTC))), refresh=True)


def metrics(
    context: typer.Context,
    since: Annotated[str, typer.Option("--since", help="How far back; 7d at most.")] = "24h",
    every: Annotated[str, typer.Option("--every", help="The width of an interval.")] = "1h",
) -> None:
    """Show what stages took and how they failed, over time, and failures that keep coming back.

    A stage is an action. The intervals are in --json; the table sums them up.

    \b
    Examples:
      stanch metrics
      stanch metrics --since 7d --every 1d --json
    """
    from engine.edges.cli.render.measures import measured
    from engine.language.durations import seconds

    session = session_of(context)
    with session.backend() as backend:
        session.show(backend.metrics(seconds(since), seconds(every)), measured)
