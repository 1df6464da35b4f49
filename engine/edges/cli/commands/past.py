"""Commands that look at rules over the past: backtest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.domain.errors import InvalidInput
from engine.edges.cli.session import session_of


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    app.command("backtest", epilog=epilog, rich_help_panel="Write")(backtest)


def backtest(  # noqa: PLR0917  typer takes options by name
    context: typer.Context,
    rules: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RULES]...", help="Rule files; left out, the configuration's."),
    ] = None,
    prometheus: Annotated[
        str | None,
        typer.Option("--prometheus", help="URL, or a connection's name: what fired, and metrics."),
    ] = None,
    webhooks: Annotated[
        Path | None, typer.Option("--webhooks", help="Past webhook payloads, one JSON a line.")
    ] = None,
    store: Annotated[
        bool, typer.Option("--store", help="The alerts that this installation took in.")
    ] = False,
    alerts: Annotated[
        list[Path] | None,
        typer.Option(
            "--alerts",
            help="Prometheus rule files: evaluate these instead of reading what fired; repeat it.",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="How far back; default 30d, or a whole file.")
    ] = None,
    step: Annotated[str, typer.Option("--step", help="Time between two looks at metrics.")] = "1m",
    group_by: Annotated[
        str,
        typer.Option("--group-by", help="Labels that alerts are grouped by, as Alertmanager's."),
    ] = "alertname",
    lasts: Annotated[
        str | None,
        typer.Option("--lasts", help="How long a run is taken to last; default: as past runs did."),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", help="Other rules to compare with; repeat it."),
    ] = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Draw a timeline into this file.")
    ] = None,
) -> None:
    """Ask what rules would have done over the past.

    Which would have run, when and how often; what throttles, cooldowns and busy groups would have held;
    what it would have asked of people and of budgets. The deciding is the live engine's own.

    \b
    Examples:
      stanch backtest --prometheus http://127.0.0.1:9090 --since 30d
      stanch backtest rules/etl.yaml --prometheus metrics --alerts rules/alerts/etl.yaml
      stanch backtest --webhooks past.jsonl --json
      stanch backtest new/rules.yaml --store --against rules --svg month.svg
    """
    from engine.edges.backtest.question import Backtest, Question
    from engine.edges.cli import files
    from engine.edges.cli.render.backtest import backtest as rendered

    session = session_of(context)
    question = Question(
        rules=rules or (),
        against=against or (),
        prometheus=prometheus,
        webhooks=webhooks,
        store=store,
        alerts=alerts or (),
        since=None if since is None else _seconds("--since", since),
        step=_seconds("--step", step),
        group_by=tuple(name.strip() for name in group_by.split(",") if name.strip()),
        lasts=None if lasts is None else _seconds("--lasts", lasts),
    )
    if question.alerts and (prometheus is None or webhooks is not None or store):
        raise InvalidInput("--alerts evaluates alert rules in Prometheus; give --prometheus alone")
    application = session.application()
    try:
        found = Backtest(application).answer(question)
    finally:
        application.stop()
    if svg is not None:
        from engine.edges.drawing.timeline import timeline_svg

        files.write_text(svg, timeline_svg(found))
        session.warn(f"drawn in {svg}")
    session.show(found, rendered)


def _seconds(option: str, text: str) -> float:
    from engine.language.durations import parse_duration

    try:
        found = parse_duration(text)
    except InvalidInput as error:
        raise InvalidInput(f"{option} {text!r}: {error}") from None
    if found <= 0:
        raise InvalidInput(f"{option} {text!r} must be longer than nothing")
    return float(found)
