"""`stanch`: reads the command line, runs one command, and turns every outcome into an exit code.

0 ok, 1 failed, 2 usage or invalid YAML, 3 refused by policy, 4 waiting for a person. Modules here import
little: what a command needs it imports when it runs, so that `stanch --help` and `stanch check` are quick.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from engine.domain.errors import StanchError
from engine.edges.cli.commands import (
    act,
    author,
    begin,
    grants,
    hands,
    incident,
    look,
    manual,
    nodes,
    operate,
    past,
    plugins,
    record,
    rehearse,
    start,
    top,
)
from engine.edges.cli.session import Session
from engine.edges.problems import FAILED, OK, USAGE, problem_of

COMMON = "Everywhere: --json (one JSON document), --config FILE, --server URL, --debug."

app = typer.Typer(
    name="stanch",
    help="Stops the bleeding: alerts in, planned and approved repairs out.",
    epilog="Exit codes: 0 ok, 1 failed, 2 usage or invalid YAML, 3 refused by policy, 4 waiting for a "
    "person.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        typer.echo(f"stanch {importlib.metadata.version('stanch')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="The configuration; default $STANCH_CONFIG, else stanch.yaml."
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            "--server", help="Ask this server; default $STANCH_SERVER. Token: $STANCH_TOKEN."
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Options that every command takes, before or after its name."""
    del version  # the callback has seen to it
    context.obj = Session(as_json=as_json, debug=debug, config=config, server=server)


for _room in (
    begin,
    author,
    manual,
    past,
    plugins,
    grants,
    rehearse,
    record,
    start,
    look,
    top,
    act,
    hands,
    incident,
    operate,
    nodes,
):
    _room.register(app, COMMON)

STOPPED = 130  # by Ctrl-C, as shells tell it
COMPLETION = "_STANCH_COMPLETE"  # set by a shell that asks for completions (`stanch completion`)
_FLAGS = frozenset({"--json", "--debug"})
_VALUED = frozenset({"--config", "--server"})


def hoist(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the common options in front, where the parser looks for them."""
    front: list[str] = []
    rest: list[str] = []
    given = iter(arguments)
    for argument in given:
        if argument == "--":
            rest += [argument, *given]
        elif argument in _FLAGS or (argument.partition("=")[0] in _VALUED and "=" in argument):
            front.append(argument)
        elif argument in _VALUED:
            front += [argument, *(value for value in (next(given, None),) if value is not None)]
        else:
            rest.append(argument)
    return front + rest


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    if COMPLETION in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
    ordered = hoist(arguments)
    as_json = "--json" in ordered
    debug = "--debug" in ordered
    try:
        result = _command().main(args=ordered, prog_name="stanch", standalone_mode=False)
        code = result if isinstance(result, int) else OK
        return _stopped() if code == STOPPED else code  # typer has caught a Ctrl-C itself
    except typer.TyperException as error:  # what was typed
        return _usage(error, as_json=as_json)
    except StanchError as error:
        if debug:
            raise
        configured = any(text.partition("=")[0] == "--config" for text in ordered)
        return _problem(error, as_json=as_json, configured=configured)
    except (KeyboardInterrupt, typer.Abort):
        return _stopped()
    except BrokenPipeError:  # the reader (head, less) has gone
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  for the flush at exit
        return OK
    except Exception as error:
        if debug:
            raise
        return _bug(error, as_json=as_json)


def _stopped() -> int:
    sys.stderr.write("\nstopped\n")
    return STOPPED


@cache
def _command() -> typer.core.TyperGroup:
    """Made once a process: it reads the signature of every command."""
    made = typer.main.get_command(app)
    assert isinstance(made, typer.core.TyperGroup)
    return made


def _usage(error: typer.TyperException, *, as_json: bool) -> int:
    message = getattr(error, "format_message", lambda: str(error))()
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "stanch"
    hint = f"see {path} --help"
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stdout.write(message + "\n")
        return USAGE
    return _fail("usage", message, hint, USAGE, as_json=as_json)


def _problem(error: StanchError, *, as_json: bool, configured: bool) -> int:
    diagnostics = getattr(error, "diagnostics", None)
    if diagnostics is not None:
        from engine.edges.cli.render.diagnostics import print_diagnostics

        print_diagnostics(diagnostics, as_json=as_json, configured=configured)
        return USAGE
    problem = problem_of(error)
    if as_json:
        sys.stdout.write(json.dumps(problem.as_json(), indent=2, ensure_ascii=False) + "\n")
        return problem.exit_code
    return _fail(problem.code, problem.message, problem.hint, problem.exit_code, as_json=False)


def _bug(error: Exception, *, as_json: bool) -> int:
    what = f"{type(error).__name__}: {error}"
    hint = "run the command again with --debug for the traceback, and report it"
    return _fail("bug", f"this is a fault of Stanch's own ({what})", hint, FAILED, as_json=as_json)


def _fail(code: str, message: str, hint: str, exit_code: int, *, as_json: bool) -> int:
    if as_json:
        body = {"error": {"code": code, "message": message, "hint": hint}}
        sys.stdout.write(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
        return exit_code
    sys.stderr.write(f"error: {message}\n")
    if hint:
        sys.stderr.write(f"hint:  {hint}\n")
    return exit_code


def main() -> None:
    """The entry point of the `stanch` command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(
                errors="replace"
            )  # a terminal without UTF-8 must not turn output into an error
    sys.exit(run(sys.argv[1:]))
