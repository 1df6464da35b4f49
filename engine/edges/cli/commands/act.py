"""Commands that decide and steer: approve, reject, withdraw, cancel, retry, recover, undo, done, pause, resume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.edges.cli.session import Session, session_of

Target = Annotated[
    str, typer.Argument(metavar="TARGET", help="A gate's id, or a run's with one open gate.")
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or its beginning or end.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Then follow the run.")]


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    for name, function in (
        ("approve", approve),
        ("reject", reject),
        ("withdraw", withdraw),
        ("cancel", cancel),
        ("retry", retry),
        ("recover", recover),
        ("undo", undo),
        ("done", done),
        ("pause", pause),
        ("resume", resume),
    ):
        app.command(name, epilog=epilog, rich_help_panel="Decide and steer")(function)


# ---------------------------------------------------------------- gates


def approve(
    context: typer.Context,
    target: Target,
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--fingerprint", help="Of the plan that you saw (at least 16 characters); asked else."
        ),
    ] = None,
    comment: Annotated[str, typer.Option("--comment", "-m", help="For the record.")] = "",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="STEP=KEY,KEY", help="These items of a foreach; repeat it."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="STEP=KEY,KEY", help="All items but these; repeat it."),
    ] = None,
    follow: Follow = False,
) -> None:
    """Approve the plan that you saw. Where it has changed since, nothing is approved.

    Without --fingerprint the plan is shown and you are asked (on a terminal only). With --only or
    --without the other items are skipped, and the gate asks again with the plan of what is left.

    \b
    Examples:
      stanch approve gate-01hq3v7x5k2m9n4p --fingerprint 9f86d081884c7d65
      stanch approve 9n4p -m "checked with the data team" --follow
      stanch approve 9n4p --without each=b -m "b is being migrated"
    """
    session = session_of(context)
    with session.backend() as backend:
        seen = fingerprint or look_and_ask(session, backend, target)
        if only or without:
            gate = backend.choose(target, seen, items(only), items(without), comment)
        else:
            gate = backend.approve(target, seen, comment)
        session.show(gate, _gate)
        if follow:
            _follow(session, backend, gate["run"], 0)
        else:
            _hint_to_work(session, backend, gate)


def items(given: Sequence[str] | None) -> dict[str, list[str]]:
    """Read `STEP=KEY,KEY` options.

    Raises:
        InvalidInput: one has not that form.
    """
    found: dict[str, list[str]] = {}
    for text in given or ():
        step, equals, keys = text.partition("=")
        named = [key for key in keys.split(",") if key]
        if not step or not equals or not named:
            raise InvalidInput(f"{text!r} names no items; write STEP=KEY,KEY")
        found.setdefault(step, []).extend(named)
    return found


def look_and_ask(session: Session, backend: Any, target: str) -> str:
    gate = backend.gate(target)
    if session.as_json or not session.is_terminal:
        raise InvalidInput(
            "say which plan you saw: --fingerprint, as stanch show prints it for "
            f"{gate['id']}; an approval counts for that plan alone"
        )
    from engine.edges.cli.render.plan import plan

    session.console().print(plan(backend.plan(gate["id"])))
    typer.confirm(f"\nApprove this plan at {gate['id']}?", abort=True)
    return str(gate["fingerprint"])


def _hint_to_work(session: Session, backend: Any, gate: JsonObject) -> None:
    if gate["missing"]:
        session.tell(f"{gate['missing']} more needed")
    elif backend.where == "the local store":
        session.tell(f"the run goes on where stanch serve works; or: stanch follow {gate['run']}")


def reject(
    context: typer.Context,
    target: Target,
    comment: Annotated[str, typer.Option("--comment", "-m", help="Why not.")] = "",
) -> None:
    """Reject at a gate; one rejection is enough.

    \b
    Examples:
      stanch reject 9n4p --comment "the exporter lies, see #data-eng"
    """
    session = session_of(context)
    with session.backend() as backend:
        session.show(backend.reject(target, comment), _gate)


def withdraw(context: typer.Context, target: Target) -> None:
    """Take back your own vote, before the quorum is reached.

    \b
    Examples:
      stanch withdraw gate-01hq3v7x5k2m9n4p
    """
    session = session_of(context)
    with session.backend() as backend:
        session.show(backend.withdraw(target), _gate)


def _gate(item: JsonObject) -> object:
    from engine.edges.cli.render.run import gate

    return gate(item)


# ---------------------------------------------------------------- runs


def cancel(
    context: typer.Context,
    run: Run,
    reason: Annotated[str, typer.Option("--reason", "-m", help="For the record.")] = "",
    follow: Follow = False,
) -> None:
    """Cancel a run.

    Temporary changes are put back, then `finally` runs.

    \b
    Examples:
      stanch cancel 9n4p --reason "wrong namespace"
    """
    session = session_of(context)
    with session.backend() as backend:
        since = backend.run(run)["entries"] if follow else 0
        _after(session, backend, backend.cancel(run, reason), follow=follow, since=since)


def retry(
    context: typer.Context,
    run: Run,
    reason: Annotated[str, typer.Option("--reason", "-m", help="For the record.")] = "",
    follow: Follow = False,
) -> None:
    """Retry a failed run from its failed step.

    What succeeded is not done again.

    \b
    Examples:
      stanch retry 9n4p --reason "quota raised" --follow
    """
    session = session_of(context)
    with session.backend() as backend:
        since = backend.run(run)["entries"] if follow else 0
        _after(session, backend, backend.retry(run, reason), follow=follow, since=since)


def recover(
    context: typer.Context,
    run: Run,
    step: Annotated[
        str | None, typer.Option("--step", help="The foreach, where several have failures.")
    ] = None,
    follow: Follow = False,
) -> None:
    """Run again just what failed of a batch, as a run of its own.

    It takes the failed items of a foreach as they were, and nothing else of the run. It is planned and gated
    like any other. What succeeded, there or in an earlier recovery, is not done again.

    \b
    Examples:
      stanch recover 9n4p
      stanch recover 9n4p --step documents --follow
    """
    session = session_of(context)
    with session.backend() as backend:
        _after(session, backend, backend.recover(run, step), follow=follow, since=0)


def undo(
    context: typer.Context,
    run: Run,
    step: Annotated[
        list[str] | None, typer.Option("--step", help="Only this step's change; repeat it.")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would be restored, and start nothing.")
    ] = False,
    override: Annotated[
        str,
        typer.Option(
            "--override",
            metavar="REASON",
            help="Restore also what others changed since; the reason is kept.",
        ),
    ] = "",
    follow: Follow = False,
) -> None:
    """Undo a run's changes, newest first.

    The undo is a run of its own, planned and gated like any other. What others changed since is named and
    refused. The undo of an undo makes the changes again.

    \b
    Examples:
      stanch undo 9n4p --plan
      stanch undo 9n4p --follow
      stanch undo 9n4p --step fewer_repos
      stanch undo 9n4p --override "the autoscaler's change goes, too"
    """
    session = session_of(context)
    with session.backend() as backend:
        if plan:
            from engine.edges.cli.render import plan as render

            session.show(backend.plan_undo(run, step or (), override), render.plan)
            return
        line = backend.undo(run, step or (), override)
        _after(session, backend, line, follow=follow, since=0)


def done(
    context: typer.Context,
    run: Run,
    address: Annotated[str, typer.Argument(metavar="STEP", help="The step's address.")],
    note: Annotated[str, typer.Option("--note", "-m", help="What was done or found.")],
    follow: Follow = False,
) -> None:
    """Say that a manual task is done.

    Or that a step of unknown outcome did happen.

    \b
    Examples:
      stanch done 9n4p tell_support --note "ticket 4711"
    """
    session = session_of(context)
    with session.backend() as backend:
        since = backend.run(run)["entries"] if follow else 0
        _after(session, backend, backend.done(run, address, note), follow=follow, since=since)


def _after(session: Session, backend: Any, line: JsonObject, *, follow: bool, since: int) -> None:
    if follow:
        _follow(session, backend, line["id"], since)
        return
    from engine.edges.cli.render.run import runs

    session.show(line, lambda item: runs([item]))


def _follow(session: Session, backend: Any, run: str, since: int) -> None:
    from engine.edges.cli.follow import follow

    backend.work()
    raise typer.Exit(follow(session, backend, run, since=since, stale=True))


# ---------------------------------------------------------------- brakes


def pause(
    context: typer.Context,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why; everybody reads it.")],
    let_undo: Annotated[bool, typer.Option("--let-undo", help="Undoing goes on.")] = False,
) -> None:
    """Engage the kill switch.

    From the next effect on, no run changes anything; with --let-undo changes may still be undone.

    \b
    Examples:
      stanch pause --reason "provider outage, repairs make it worse"
    """
    session = session_of(context)
    with session.backend() as backend:
        session.show(backend.pause(reason, let_undo=let_undo), _brakes)


def resume(
    context: typer.Context,
    reason: Annotated[str, typer.Option("--reason", "-m", help="For the record.")] = "",
) -> None:
    """Release the kill switch: held runs go on.

    \b
    Examples:
      stanch resume --reason "provider is back"
    """
    session = session_of(context)
    with session.backend() as backend:
        session.show(backend.resume(reason), _brakes)


def _brakes(data: JsonObject) -> object:
    from engine.edges.cli.render.brakes import brakes

    return brakes(data)
