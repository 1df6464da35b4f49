"""What all renderers share: colours by state, times, values, and cleaning of foreign text."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.domain.canonical import Json

STATES: Mapping[str, str] = {
    "succeeded": "green",
    "approved": "green",
    "verified": "green",
    "resolved": "green",
    "closed": "dim",
    "planned": "cyan",
    "skipped": "dim",
    "queued": "cyan",
    "running": "cyan",
    "applied": "cyan",
    "planning": "cyan",
    "verifying": "cyan",
    "retrying": "yellow",
    "waiting": "yellow",
    "awaiting_approval": "bold yellow",
    "open": "bold yellow",
    "acknowledged": "yellow",
    "mitigated": "yellow",
    "held": "bold yellow",
    "undoing": "magenta",
    "undone": "magenta",
    "failed": "bold red",
    "rejected": "bold red",
    "expired": "red",
    "void": "red",
    "cancelled": "dim",
    "withdrawn": "dim",
    "needs_human": "bold red",
    "firing": "bold red",
}


def clean(value: object, limit: int = 400) -> str:
    """Return foreign text fit for a terminal: no control characters (escape sequences), no line breaks."""
    text = str(value)
    text = "".join(
        " " if char in "\n\r\t" else "" if unicodedata.category(char) in _UNSEEN else char
        for char in text
    )
    return text if len(text) <= limit else text[: limit - 1] + "…"


_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs"})


def state_text(state: str) -> Text:
    return Text(clean(state), style=STATES.get(state, ""))


def value_text(value: Json, limit: int = 60) -> str:
    """Return one value of a diff, on one line."""
    if isinstance(value, dict) and set(value) == {"$unknown"}:
        return f"({clean(value['$unknown'], limit)})"
    if isinstance(value, str):
        return clean(value, limit) if value else '""'
    return clean(json.dumps(value, ensure_ascii=False, sort_keys=True), limit)


def pairs(values: Mapping[str, Any], limit: int = 60) -> str:
    """Return `a=1, b=x` in the map's own order."""
    return ", ".join(f"{clean(name)}={value_text(value, limit)}" for name, value in values.items())


def counts_text(counts: Mapping[str, int]) -> str:
    """Return `3 pods, 1 row`: the units of budgets, singular where there is one."""
    parts = []
    for unit, number in counts.items():
        name = unit[:-1] if number == 1 and unit.endswith("s") else unit
        parts.append(f"{number} {clean(name)}")
    return ", ".join(parts)


def when(text: str | None) -> str:
    """Return an RFC 3339 time as `2026-11-23 03:15:00`, in UTC."""
    if not text:
        return ""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S}"


def clock(text: str | None) -> str:
    """Return the time of day of an RFC 3339 time."""
    return f"{datetime.fromisoformat(text):%H:%M:%S}" if text else ""


def table(headings: Sequence[str], rows: Iterable[Sequence[str | Text]], fixed: int = 1) -> Table:
    """Return a plain table. The first `fixed` columns (ids) are never broken over lines."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for number, heading in enumerate(headings):
        made.add_column(heading, no_wrap=number < fixed, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(clean(cell)) for cell in row))
    return made


def facts(pairs_: Iterable[tuple[str, str | Text | None]]) -> Text:
    """Return `name  value` lines, names aligned; empty values are left out."""
    shown = [(name, value) for name, value in pairs_ if value not in (None, "")]
    width = max((len(name) for name, _ in shown), default=0)
    text = Text()
    for number, (name, value) in enumerate(shown):
        text.append("\n" if number else "")
        text.append(f"{name:<{width}}  ", style="dim")
        text.append(value if isinstance(value, Text) else clean(value))
    return text


def plain(renderable: object, width: int = 100) -> str:
    """Return what a renderer made as plain text of a fixed width, without trailing blanks."""
    import io

    out = io.StringIO()
    Console(file=out, width=width, color_system=None, force_terminal=False, highlight=False).print(
        renderable
    )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).rstrip() + "\n"
