"""Commands for installations of several machines: worker, migrate."""

from __future__ import annotations

import signal
import threading

import typer

from engine.edges.cli.session import session_of
from engine.edges.problems import OK


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    app.command("worker", epilog=epilog, rich_help_panel="Operate")(worker)
    app.command("migrate", epilog=epilog, rich_help_panel="Operate")(migrate)


def worker(context: typer.Context) -> None:
    """Work on runs only: one more machine for a store that others serve.

    Takes no alerts in and answers no API. SIGTERM finishes the steps in flight and hands the runs back.

    \b
    Examples:
      stanch worker --config prod.yaml
    """
    from engine.edges.cli.serving import log_to_stderr

    log_to_stderr()
    session = session_of(context)
    application = session.application()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        application.start_workers(triage=False)
        application.start_warming()
        session.tell("working; SIGTERM ends it")
        stop.wait()
    finally:
        application.stop()
    session.tell("stopped")
    raise typer.Exit(OK)


def migrate(context: typer.Context) -> None:
    """Make the store's tables, or bring them to what this version needs. Nothing is ever emptied.

    `stanch serve` does it by itself; this is for those who want it done before.

    \b
    Examples:
      stanch migrate
    """
    from engine.journal.migrate import HEAD
    from engine.journal.migrate import migrate as bring

    session = session_of(context)
    application = session.application()
    try:
        bring(application.config.store_url(application.reference))
    finally:
        application.stop()
    session.show({"version": HEAD}, lambda data: f"the tables are of version {data['version']}")
