"""A line in the decisions log, for a person."""

from __future__ import annotations

from engine.contract.byhand import ByHand, Given, Hand, Shell, command, text


def decision(_: object, given: Given, at: ByHand) -> Hand:
    settings = at.of({"connection": given.get("connection", "decisions")})
    path = str(settings.path) if settings is not None else "<decisions log>"
    fields = given.get("fields")
    parts = fields.items() if isinstance(fields, dict) else [("DECISION", fields)]
    words = " | ".join(f"{str(name).upper()}={_plain(value)}" for name, value in parts)
    now = Shell('"$(date -u +%FT%TZ)"')
    line = command("printf", "%s | %s | BY=hand\\n", now, words)
    return Hand([f"{line} >> {command(path)}"])


def _plain(value: object) -> str:
    return text(value).replace("|", "/").replace("\n", " ")
