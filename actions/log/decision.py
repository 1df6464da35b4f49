"""log.decision: one line in the decisions log."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import Field, field_validator

from actions.log import byhand
from actions.log.file import DecisionsLog
from engine.contract import ActionParams, Grant, Notify, Target, World
from engine.domain.canonical import Json
from engine.domain.clock import format_time

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_RESERVED = {"KEY", "TIME"}


class DecisionParams(ActionParams):
    """Parameters of a line."""

    connection: str = Field(
        "decisions", description="A decisions connection", examples=["decisions"]
    )
    fields: dict[str, str | int | float | bool | None] = Field(
        description="What the line holds, in this order; names are written in capitals",
        examples=[{"operator": "alice", "chapter": "E3", "action": "pause backfills"}],
        min_length=1,
    )

    @field_validator("fields")
    @classmethod
    def _names(
        cls, value: dict[str, str | int | float | bool | None]
    ) -> dict[str, str | int | float | bool | None]:
        seen: set[str] = set()
        for name in value:
            if not _NAME.match(name):
                raise ValueError(f"field {name!r} must be letters, digits and _, a letter first")
            if name.upper() in _RESERVED or name.upper() in seen:
                raise ValueError(f"field {name!r} is written by the log itself, or twice")
            seen.add(name.upper())
        return value


class LogDecision(Notify[DecisionParams]):
    """Appends `TIME | NAME=value | … | KEY=…`, durably and once a key.

    `|`, backslashes and control characters in values are escaped, so that no value can forge a field or
    a line.
    """

    name = "log.decision"
    manual = byhand.decision
    summary = "Write a line into the decisions log"
    Params = DecisionParams

    def targets(self, params: DecisionParams) -> Sequence[Target]:
        return (Target(params.connection, "decisions"),)

    def grants(self, params: DecisionParams) -> Sequence[Grant]:
        # It is read for lines that an earlier attempt added.
        return tuple(
            Grant(params.connection, "file", {"mode": mode}) for mode in ("read", "append")
        )

    def send(self, params: DecisionParams, world: World, key: str) -> Json:
        moment = format_time(world.clock.now().replace(microsecond=0))
        pairs = [f"{name.upper()}={escaped(value)}" for name, value in params.fields.items()]
        line = " | ".join([moment, *pairs]) + _ending(key)
        added = world.client(params.connection, DecisionsLog).append(line, _ending(key))
        return {"line": line if added else None, "added": added}

    def sent(self, params: DecisionParams, world: World, key: str) -> bool | None:
        return world.client(params.connection, DecisionsLog).has(_ending(key))


def _ending(key: str) -> str:
    return f" | KEY={escaped(key)}"


def escaped(value: str | float | bool | None) -> str:
    """Return a value as it stands in a line: one line, and no bar of its own."""
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = text.replace("\\", "\\\\").replace("|", "\\x7c")
    return "".join(char if char.isprintable() else _code(char) for char in text)


def _code(char: str) -> str:
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char)
    return short or f"\\u{ord(char):04x}"
