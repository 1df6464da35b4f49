"""Local programs, for a person on the machine that has them."""

from __future__ import annotations

from engine.contract.byhand import ByHand, Given, Hand, command, note


def _line(given: Given, at: ByHand, program: object, arguments: object) -> str:
    settings = at.of(given)
    programs = settings.programs if settings is not None else {}
    known = programs.get(str(program))
    path = str(known.path) if known is not None else str(program or "<program>")
    return command(path, arguments if isinstance(arguments, list) else [])


def run(_: object, given: Given, at: ByHand) -> Hand:
    do = [_line(given, at, given.get("program"), given.get("arguments"))]
    if given.get("stdin"):
        do = [f"{command('printf', '%s', given['stdin'])} | {do[0]}"]
    back = given.get("undo")
    undo = (
        [_line(given, at, back.get("program"), back.get("arguments"))]
        if isinstance(back, dict)
        else []
    )
    settings = at.of(given)
    names = sorted(settings.environment) if settings is not None else []
    head = [note(f"with these variables set: {', '.join(names)}")] if names else []
    return Hand([*head, *do], undo)
