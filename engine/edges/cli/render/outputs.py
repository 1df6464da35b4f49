"""What a run gave, as people read it: facts, lists, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from engine.domain.canonical import Json, JsonObject
from engine.edges.cli.render.style import STATES, clean, facts, table

_LONGEST = 2000  # characters of one value
_ROWS = 100  # of one table
_NONE = Text("none", style="dim")
_STYLES = {**STATES, "ok": "green", "warning": "yellow", "critical": "bold red"}


def outputs(values: JsonObject) -> RenderableType:
    """Return outputs in their order: plain values as aligned facts, all else under its own heading.

    A list of maps is a table. A map of exactly `columns` and `rows` is one whose columns are chosen and in
    that order. Everything is cleaned: values may come from anywhere.
    """
    parts: list[RenderableType] = []
    for plain, entries in groupby(values.items(), lambda entry: _is_plain(entry[1])):
        group = list(entries)
        if plain:
            parts += [facts((_heading(name), _fact(value)) for name, value in group), Text()]
            continue
        for name, value in group:
            parts += [
                Text(_heading(name), style="bold"),
                Padding(_block(value), (0, 0, 1, 2), expand=False),
            ]
    if parts and isinstance(parts[-1], Text) and not parts[-1].plain:
        parts.pop()
    return Group(*parts)


def _is_plain(value: Json) -> bool:
    return not isinstance(value, dict | list) and "\n" not in str(value)


def _heading(name: str) -> str:
    text = clean(name).replace("_", " ")
    return text[:1].upper() + text[1:]


def _fact(value: Json) -> Text:
    text = _cell(value)
    return Text(text, style=_STYLES.get(text, "")) if text else Text("-", style="dim")


def _cell(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    if isinstance(value, list):
        return ", ".join(_cell(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{clean(name)} {_cell(item)}" for name, item in value.items())
    return clean(value, _LONGEST)


def _block(value: Json) -> RenderableType:
    """Return a list, a map or a text of several lines."""
    if isinstance(value, str):
        return Text("\n".join(clean(line, _LONGEST) for line in value.splitlines()))
    if isinstance(value, dict) and set(value) == {"columns", "rows"}:
        rows, columns = value["rows"], value["columns"]
        if isinstance(columns, list) and _are_maps(rows):
            return _table(rows, [str(name) for name in columns])
    if not value:
        return _NONE
    if isinstance(value, dict):
        return outputs(value)
    assert isinstance(value, list)
    if _are_maps(value):
        return _table(value, list(dict.fromkeys(name for row in value for name in row)))
    return Text("\n".join(f"- {_cell(item)}" for item in value))


def _are_maps(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _table(rows: Sequence[JsonObject], columns: Sequence[str]) -> RenderableType:
    if not rows:
        return _NONE
    cells = ([_fact_of(row.get(name)) for name in columns] for row in rows[:_ROWS])
    made = table([_heading(name).upper() for name in columns], cells, fixed=0)
    if len(rows) <= _ROWS:
        return made
    return Group(made, Text(f"and {len(rows) - _ROWS} more", style="dim"))


def _fact_of(value: Json) -> Text:
    text = _cell(value)
    return Text(text, style=_STYLES.get(text, ""))
