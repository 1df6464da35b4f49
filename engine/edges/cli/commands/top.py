"""`stanch top`: runs, queues, gates and success, as they change."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from engine.edges.cli.session import session_of

EVERY = 1.0  # seconds between two looks where nothing wakes us


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    app.command("top", epilog=epilog, rich_help_panel="Look")(top)


def top(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Show it once and end.")] = False,
) -> None:
    """Watch runs, queues, gates and success rate. Ctrl-C ends it.

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
