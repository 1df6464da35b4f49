"""Commands for those who run Stanch: serve, doctor, audit, token, demo."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.edges.cli.session import session_of
from engine.edges.problems import FAILED, OK


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    panel = "Operate"
    app.command("serve", epilog=epilog, rich_help_panel=panel)(serve)
    app.command("doctor", epilog=epilog, rich_help_panel=panel)(doctor)
    shown = typer.Typer(rich_markup_mode=None, invoke_without_command=True, epilog=epilog)
    shown.callback(epilog=epilog)(demo)
    shown.command("cluster", epilog=epilog)(demo_cluster)
    app.add_typer(shown, name="demo", rich_help_panel=panel)
    audit = typer.Typer(no_args_is_help=True, help="Verify the journal.", rich_markup_mode=None)
    audit.command("verify", epilog=epilog)(audit_verify)
    app.add_typer(audit, name="audit", rich_help_panel=panel)
    token = typer.Typer(no_args_is_help=True, help="Hand out API tokens.", rich_markup_mode=None)
    token.command("create", epilog=epilog)(token_create)
    token.command("list", epilog=epilog)(token_list)
    token.command("revoke", epilog=epilog)(token_revoke)
    app.add_typer(token, name="token", rich_help_panel=panel)


def serve(
    context: typer.Context,
    listen: Annotated[
        str | None, typer.Option("--listen", help="Address and port; default the configuration's.")
    ] = None,
) -> None:
    """Take alerts in, work on runs, answer the API.

    SIGTERM finishes the steps in flight and stops; SIGHUP reloads rules and playbooks.

    \b
    Examples:
      stanch serve
      stanch serve --config prod.yaml --listen 127.0.0.1:9780
    """
    from engine.edges.cli.serving import serve as serve_until_stopped

    raise typer.Exit(serve_until_stopped(session_of(context), listen))


def doctor(context: typer.Context) -> None:
    """Check this installation, and say how to mend it.

    Configuration, rules, store, clock, file rights, and every connection.

    \b
    Examples:
      stanch doctor --json
    """
    from engine.edges.cli.doctor import examine
    from engine.edges.cli.render.doctor import findings

    session = session_of(context)
    found = examine(session)
    data: JsonObject = {
        "ok": all(item.ok for item in found),
        "checks": [f.as_json() for f in found],
    }
    session.show(data, lambda shown: findings(shown["checks"]))
    raise typer.Exit(OK if data["ok"] else FAILED)


def demo(
    context: typer.Context,
    auto: Annotated[bool, typer.Option("--auto", help="Approve by itself; for tests.")] = False,
    stand_ins: Annotated[
        bool,
        typer.Option(
            "--stand-ins", help="Go on as if no database and no Prometheus were installed."
        ),
    ] = False,
) -> None:
    """Break a small system on this machine, and watch it being repaired.

    Nothing outside the machine is touched; everything lies in var/demo and ends with the demo.

    \b
    Examples:
      stanch demo
      stanch demo --auto --json
      stanch demo cluster --kubeconfig cluster.kubeconfig
    """
    if context.invoked_subcommand is not None:
        return
    from engine.edges.demo import run

    raise typer.Exit(run(auto=auto, as_json=session_of(context).as_json, stand_ins=stand_ins))


def demo_cluster(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")
    ] = 0,
    objects: Annotated[
        list[Path] | None,
        typer.Option("--objects", help="A YAML file of objects to create; repeat it."),
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option("--kubeconfig", help="Write a kubeconfig with contexts admin and operator."),
    ] = None,
    speed: Annotated[
        float, typer.Option("--speed", min=0.001, help="How many times as fast its time runs.")
    ] = 1.0,
) -> None:
    """Run the in-memory cluster of rehearsals as a process of its own, until it is ended.

    It prints its address. The engine can be killed and started again while it goes on.

    \b
    Examples:
      stanch demo cluster --kubeconfig cluster.kubeconfig
      stanch demo cluster --port 8001 --objects scene.yaml --speed 60
    """
    from worlds.cluster.process import main

    arguments = ["--port", str(port), "--speed", str(speed)]
    for path in objects or ():
        if not path.is_file():
            raise InvalidInput(f"there is no file {path}")
        arguments += ["--objects", str(path)]
    if kubeconfig is not None:
        arguments += ["--kubeconfig", str(kubeconfig)]
    main(arguments)


def audit_verify(
    context: typer.Context,
    seal: Annotated[
        str | None,
        typer.Option(
            "--seal",
            metavar="MARK",
            help="The last seal that an earlier verification printed; it must still be there.",
        ),
    ] = None,
) -> None:
    """Verify every chain and seal of the journal.

    Finds entries and runs that were changed, removed, reordered or added behind Stanch's back. That the
    newest entries and seals were removed together only shows against a seal noted earlier: --seal.

    \b
    Examples:
      stanch audit verify
      stanch audit verify --seal 12:9f86d081884c7d65…
      stanch audit verify --json
    """
    from engine.edges.cli.render.doctor import audit

    session = session_of(context)
    with session.backend() as backend:
        data = backend.audit(seal)
    session.show(data, audit)
    raise typer.Exit(OK if data["ok"] else FAILED)


def token_create(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Whose it is: the name approvals carry.")
    ],
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--role",
            "-r",
            help="viewer, operator, admin or an approver's; else the configuration's.",
        ),
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="90d, 12h, or a time with a zone; else never.")
    ] = None,
) -> None:
    """Make an API token. It is printed once; only its hash is kept.

    \b
    Examples:
      stanch token create alice --role operator --role sre --expires 90d
    """
    session = session_of(context)
    with session.backend() as backend:
        made = backend.create_token(name, role or (), _until(expires))
    session.show(made, _made)


def _made(made: JsonObject) -> object:
    from rich.text import Text

    roles = ", ".join(made["roles"]) or "those that the configuration gives to this name"
    text = Text(
        f"token of {made['name']}; roles: {roles}; expires: {made['expires_at'] or 'never'}\n"
    )
    text.append("It is shown this once:\n", style="dim")
    text.append(made["token"], style="bold")
    return text


def _until(text: str | None) -> datetime | None:
    if text is None:
        return None
    from datetime import UTC, timedelta

    from engine.domain.clock import parse_time
    from engine.language.durations import parse_duration

    try:
        return datetime.now(UTC) + timedelta(seconds=parse_duration(text))
    except ValueError:
        pass
    except InvalidInput:
        pass
    try:
        return parse_time(text)
    except ValueError as error:
        raise InvalidInput(f"--expires {text!r}: write 90d, 12h or 2027-01-31T00:00:00Z") from error


def token_list(context: typer.Context) -> None:
    """List tokens: names, roles, times.

    The tokens themselves are stored nowhere.

    \b
    Examples:
      stanch token list
    """
    from engine.edges.cli.render.doctor import tokens

    session = session_of(context)
    with session.backend() as backend:
        session.show(backend.tokens(), lambda data: tokens(data["items"]))


def token_revoke(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose tokens; all of them end.")],
) -> None:
    """Revoke every token of a name, at once.

    \b
    Examples:
      stanch token revoke alice
    """
    session = session_of(context)
    with session.backend() as backend:
        data = backend.revoke_token(name)
    session.show(data, lambda made: f"{made['revoked']} token(s) of {made['name']} revoked")
    raise typer.Exit(OK if data["revoked"] else FAILED)
