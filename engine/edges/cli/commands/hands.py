"""Commands that take a run into one's hands, lend roles, break the glass, and re-arm brakes."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.edges.cli.commands.act import Run, Target, look_and_ask
from engine.edges.cli.session import session_of

Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; others read it.")]


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    for name, function in (
        ("hold", hold),
        ("release", release),
        ("step", step),
        ("takeover", takeover),
        ("handback", handback),
        ("preempt", preempt),
        ("break-glass", break_glass),
        ("delegate", delegate),
        ("undelegate", undelegate),
        ("rearm", rearm),
    ):
        app.command(name, epilog=epilog, rich_help_panel="Decide and steer")(function)


def hold(context: typer.Context, run: Run, reason: Reason) -> None:
    """Hold one run before its next effect.

    \b
    Examples:
      stanch hold 9n4p --reason "let me look at the exporter first"
    """
    _steer(context, run, "hold", reason=reason)


def release(
    context: typer.Context,
    run: Run,
    reason: Annotated[str, typer.Option("--reason", "-m", help="For the record.")] = "",
) -> None:
    """Let a held run go on. What others have changed up to now counts as seen.

    \b
    Examples:
      stanch release 9n4p
    """
    _steer(context, run, "release", reason=reason)


def step(context: typer.Context, run: Run) -> None:
    """Do exactly one step of a run, then hold it.

    \b
    Examples:
      stanch step 9n4p
    """
    _steer(context, run, "step")


def takeover(context: typer.Context, run: Run, reason: Reason) -> None:
    """Take a run over: the engine does nothing more in it until you hand it back.

    \b
    Examples:
      stanch takeover 9n4p --reason "I scale it down by hand"
    """
    _steer(context, run, "takeover", reason=reason)


def handback(
    context: typer.Context,
    run: Run,
    note: Annotated[str, typer.Option("--note", "-m", help="What you did meanwhile.")],
) -> None:
    """Hand a run back. Its plan is made anew, and what differs is shown and asked about.

    \b
    Examples:
      stanch handback 9n4p --note "scaled to 2, the rest is as it was"
    """
    _steer(context, run, "handback", note=note)


def _steer(context: typer.Context, run: str, act: str, **words: str) -> None:
    from engine.edges.cli.render.run import runs

    session = session_of(context)
    with session.backend() as backend:
        session.show(backend.steer(run, act, **words), lambda item: runs([item]))


def preempt(
    context: typer.Context,
    run: Run,
    reason: Reason,
    undo: Annotated[
        bool, typer.Option("--undo", help="The holder's changes are undone first.")
    ] = False,
) -> None:
    """Make the holder of a lock give way to an urgent run.

    Name the run that waits, or the one that holds. The holder is held; its locks go over.

    \b
    Examples:
      stanch preempt 9n4p --reason "consumer impact"
    """
    session = session_of(context)
    with session.backend() as backend:
        how = "undo" if undo else "hand_over"
        session.show(
            backend.steer(run, "preempt", reason=reason, how=how),
            lambda made: f"{', '.join(made['holders'])} gives way to {made['for']}",
        )


def break_glass(
    context: typer.Context,
    target: Target,
    reason: Reason,
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--fingerprint", help="Of the plan that you saw (at least 16 characters); asked else."
        ),
    ] = None,
) -> None:
    """Approve alone in an emergency, without quorum and four eyes. Everybody is told.

    Only for the role that the configuration names (approval.break_glass).

    \b
    Examples:
      stanch break-glass 9n4p --fingerprint 9f86d081884c7d65 --reason "nobody else can be reached"
    """
    from engine.edges.cli.render.run import gate

    session = session_of(context)
    with session.backend() as backend:
        seen = fingerprint or look_and_ask(session, backend, target)
        session.show(backend.break_glass(target, seen, reason), gate)
        session.tell(
            "the glass is broken: the run goes on with the plan that you saw, and all are told"
        )


def delegate(
    context: typer.Context,
    role: Annotated[str | None, typer.Argument(metavar="ROLE", help="A role you hold.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Who is to hold it too.")] = None,
    lasts: Annotated[str, typer.Option("--for", help="How long, as in 8h; at most 14d.")] = "8h",
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why.")] = "",
) -> None:
    """Lend a role that you hold. Without a role: list what is lent.

    \b
    Examples:
      stanch delegate sre --to bob --for 8h --reason "on a train"
      stanch delegate
    """
    from engine.edges.cli.render.brakes import delegations

    session = session_of(context)
    with session.backend() as backend:
        if role is None:
            session.show(backend.delegations(), lambda data: delegations(data["items"]))
            return
        if to is None:
            raise InvalidInput("say to whom: --to NAME")
        session.show(
            backend.delegate(role, to, _seconds(lasts), reason), lambda made: delegations([made])
        )


def _seconds(text: str) -> float:
    from engine.language.durations import parse_duration
    from engine.language.problems import BadText

    try:
        return float(parse_duration(text))
    except BadText as error:
        raise InvalidInput(f"--for: {error.message}; write for example 8h") from error


def undelegate(
    context: typer.Context,
    delegation: Annotated[str, typer.Argument(metavar="ID", help="As stanch delegate lists it.")],
) -> None:
    """Take a lent role back, at once.

    \b
    Examples:
      stanch undelegate lent-01hq3v7x5k2m9n4p
    """
    from engine.edges.cli.render.brakes import delegations

    session = session_of(context)
    with session.backend() as backend:
        session.show(backend.revoke(delegation), lambda made: delegations([made]))


def rearm(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="BRAKE", help="As stanch brakes names it.")],
    reason: Reason,
) -> None:
    """Close a circuit breaker, end a cooldown, or forget what is used of a budget.

    \b
    Examples:
      stanch rearm breaker:etl/failure-spike --reason "the exporter is mended"
      stanch rearm budget:connection:cluster:pods --reason "the incident is over"
    """
    session = session_of(context)
    with session.backend() as backend:
        session.show(backend.rearm(name, reason), _brakes)


def _brakes(data: JsonObject) -> object:
    from engine.edges.cli.render.brakes import brakes

    return brakes(data)
