"""Taking a change back from its before-image, unless others changed the same values since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actions.postgres.catalogue import Column, columns
from actions.postgres.changing import KeyOf, Row, select
from actions.postgres.connection import Work
from actions.postgres.parsing import Table, quoted
from engine.contract import ActionFailed, Category
from engine.domain.canonical import JsonObject


@dataclass(frozen=True)
class _Image:
    """A before-image opened on the table as it is now. `rows` is by key."""

    work: Work
    table: Table
    shape: list[Column]
    key: list[str]
    rows: dict[KeyOf, JsonObject]

    @property
    def types(self) -> dict[str, str]:
        return {column.name: column.type for column in self.shape}

    def shown(self, name: KeyOf) -> str:
        return f"{self.table} row " + ", ".join(
            f"{column}={value}" for column, value in zip(self.key, name, strict=True)
        )

    def matches(self) -> str:
        return " AND ".join(
            f"t.{quoted(name)} = u.c{position}::{self.types[name]}"
            for position, name in enumerate(self.key)
        )


def restore(work: Work, image: JsonObject) -> int:
    """Put the rows of a before-image back and return how many.

    Raises:
        ActionFailed: (data) a row or column is no longer as the change left it; named, nothing restored.
    """
    table = Table.parse(image["table"])
    key = list(image["key"])
    rows = {_key(key, item): item for item in image["rows"]}
    opened = _Image(work, table, columns(work, table), key, rows)
    current = select(work, table, opened.shape, key, list(rows), lock=True)
    if image["kind"] == "DELETE":
        return _insert(opened, current)
    if image["kind"] == "INSERT":
        _compare(opened, current, [column.name for column in opened.shape])
        return _delete(opened)
    changed = _differing(opened)
    _compare(opened, current, changed)
    return _update(opened, changed)


def _key(key: Sequence[str], item: JsonObject) -> KeyOf:
    row = item["before"] or item["after"]
    return tuple(row[name] for name in key)


def _differing(image: _Image) -> list[str]:
    """The columns that the change altered in any row; only these are compared and restored."""
    touched = {column for item in image.rows.values() for column in item["after"]}
    return [column.name for column in image.shape if column.name in touched]


def _compare(image: _Image, current: dict[KeyOf, Row], watched: Sequence[str]) -> None:
    """Refuse where others changed since what the change left."""
    for name, item in image.rows.items():
        left = {**(item["before"] or {}), **item["after"]}
        row = current.get(name)
        if row is None:
            raise _conflict(f"{image.shown(name)} is gone: others deleted it since")
        for column in watched:
            if row[column] != left.get(column):
                what = f"{image.shown(name)}, column {column}"
                raise _conflict(f"{what}: others changed it since the step left it")


def _conflict(what: str) -> ActionFailed:
    return ActionFailed(Category.DATA, f"{what}; nothing was restored", effect_possible=False)


def _update(image: _Image, changed: Sequence[str]) -> int:
    names = [c.name for c in image.shape if c.name in changed and not c.generated]
    if not names:
        return 0
    source, lists = _source([*image.key, *names], [item["before"] for item in image.rows.values()])
    sets = ", ".join(
        f"{quoted(name)} = u.c{len(image.key) + position}::{image.types[name]}"
        for position, name in enumerate(names)
    )
    text = f"UPDATE {image.table.quoted} AS t SET {sets} FROM {source} WHERE {image.matches()}"
    return image.work.counted(text, lists)[0]


def _insert(image: _Image, current: dict[KeyOf, Row]) -> int:
    for name in current:
        raise _conflict(f"{image.shown(name)} is there again: others inserted it since")
    names = [column.name for column in image.shape if not column.generated]
    source, lists = _source(names, [item["before"] for item in image.rows.values()])
    into = ", ".join(quoted(name) for name in names)
    picked = ", ".join(f"u.c{position}::{image.types[name]}" for position, name in enumerate(names))
    text = f"INSERT INTO {image.table.quoted} ({into}) OVERRIDING SYSTEM VALUE SELECT {picked} FROM {source}"
    return image.work.counted(text, lists)[0]


def _delete(image: _Image) -> int:
    rows: list[Row] = [dict(zip(image.key, name, strict=True)) for name in image.rows]
    source, lists = _source(image.key, rows)
    text = f"DELETE FROM {image.table.quoted} AS t USING {source} WHERE {image.matches()}"
    return image.work.counted(text, lists)[0]


def _source(names: Sequence[str], rows: Sequence[Row]) -> tuple[str, list[list[str | None]]]:
    """Return `unnest(…) AS u(c0, c1 …)` and its arrays: one column of texts a name."""
    arrays = ", ".join(f"${position + 1}::text[]" for position in range(len(names)))
    called = ", ".join(f"c{position}" for position in range(len(names)))
    return f"unnest({arrays}) AS u({called})", [[row[name] for row in rows] for name in names]
