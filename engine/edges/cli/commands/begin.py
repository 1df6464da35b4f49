"""Commands that begin something new: init, new, completion."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.domain.errors import InvalidInput, NotFound
from engine.edges.cli.session import Session, session_of

SHELLS = ("bash", "zsh", "fish", "powershell")


def register(app: typer.Typer, epilog: str) -> None:
    """Add the commands of this room."""
    app.command("init", epilog=epilog, rich_help_panel="Write")(init)
    room = typer.Typer(
        no_args_is_help=True,
        help="Begin a playbook, a rule or a rehearsal.",
        rich_markup_mode=None,
    )
    room.command("playbook", epilog=epilog)(playbook)
    room.command("rule", epilog=epilog)(rule)
    room.command("rehearsal", epilog=epilog)(rehearsal)
    app.add_typer(room, name="new", rich_help_panel="Write")
    app.command("completion", epilog=epilog, rich_help_panel="Operate")(completion)


def init(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where; left out, this folder.")
    ] = Path(),
) -> None:
    """Begin a project: a configuration, one pack with its rehearsal, schemas for editors.

    Nothing that is there already is touched.

    \b
    Examples:
      stanch init repairs
    """
    from engine.contract.registry import load_registry
    from engine.edges.scaffold.making import make_project

    session = session_of(context)
    made = make_project(folder, load_registry())
    where = "" if folder == Path() else f"cd {folder}; "
    session.show(
        {"written": [path.as_posix() for path in made]},
        lambda data: "\n".join(
            [*data["written"], "", f"next: {where}stanch check; stanch rehearse"]
        ),
    )


def playbook(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in web/restart: pack and name.")],
) -> None:
    """Begin a playbook: commented, and valid as it is.

    \b
    Examples:
      stanch new playbook web/restart
    """
    from engine.edges.scaffold.making import new_playbook

    session = session_of(context)
    config = session.configuration()
    role = next(iter(config.roles), "sre")
    folder = _folder(config.playbooks, "playbooks")
    _told(session, new_playbook(name, folder, _schemas(config), role))


def rule(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in web/down.")],
    of: Annotated[
        str | None, typer.Option("--playbook", help="What it starts; left out, one of its name.")
    ] = None,
) -> None:
    """Begin a rule that starts a playbook; its inputs come from the alert's labels.

    \b
    Examples:
      stanch new rule web/down --playbook web/restart
    """
    from engine.edges.scaffold.making import new_rule

    session = session_of(context)
    config = session.configuration()
    program = _program(session, of or name)
    _told(session, new_rule(name, _folder(config.rules, "rules"), _schemas(config), program))


def rehearsal(
    context: typer.Context,
    of: Annotated[str, typer.Argument(metavar="PLAYBOOK", help="Which playbook it rehearses.")],
) -> None:
    """Begin a rehearsal beside a playbook, with inputs of the right types.

    \b
    Examples:
      stanch new rehearsal web/restart
    """
    from engine.edges.scaffold.making import new_rehearsal

    session = session_of(context)
    config = session.configuration()
    program = _program(session, of)
    folder = _folder(config.playbooks, "playbooks")
    _told(session, new_rehearsal(program, folder, _schemas(config)))


def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")],
) -> None:
    """Print what makes a shell complete commands and options.

    \b
    Examples:
      stanch completion bash > ~/.local/share/bash-completion/completions/stanch
      stanch completion zsh > ~/.zfunc/_stanch
    """
    from typer._completion_shared import get_completion_script

    if shell not in SHELLS:
        raise InvalidInput(
            f"{shell!r} is no shell that can be completed; there are {', '.join(SHELLS)}"
        )
    script = get_completion_script(prog_name="stanch", complete_var="_STANCH_COMPLETE", shell=shell)
    sys.stdout.write(script + "\n")


def _program(session: Session, name: str) -> Any:
    application = session.application()
    try:
        programs = application.project.playbooks
    finally:
        application.stop()
    if name not in programs:
        near = tuple(difflib.get_close_matches(name, programs, n=3)) or tuple(programs)[:3]
        raise NotFound(f"no playbook is called {name!r}", near=near)
    return programs[name]


def _folder(configured: list[Path], default: str) -> Path:
    """The first configured folder; a file does not do."""
    return next((path for path in configured if not path.is_file()), Path(default))


def _schemas(config: Any) -> Path:
    beside = config.path.parent if config.path is not None else Path()
    return Path(beside) / "schemas"


def _told(session: Session, path: Path) -> None:
    session.show({"written": [path.as_posix()]}, lambda data: "\n".join(data["written"]))
