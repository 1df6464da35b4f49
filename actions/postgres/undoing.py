"""Taking a change back from its before-image, unless others changed the same values since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from actions.postgres.catalogue import Column, columns
from actions.postgres.changing import KeyOf, Row, select
from actions.postgres.client import Work
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


def restore(work: Work, image: JsonObject, *, overriding: bool = False) -> int:
    """Put the rows of a before-image back and return how many.

    Args:
        overriding: columns that others changed since are restored as well.

    Raises:
        ActionFailed: (data) a row or column is no longer as the change left it; named, nothing restored.
    """
    if "parts" in image:  # several changes of one step, the last first
        return sum(restore(work, part, overriding=overriding) for part in _parts(image))
    opened = _opened(work, image)
    current = _current(opened, lock=True)
    for found in _differences(opened, current, image["kind"]):
        if not (found.column and overriding):
            raise _conflict(found.text)
    if image["kind"] == "DELETE":
        return _insert(opened)
    if image["kind"] == "INSERT":
        return _delete(opened)
    return _update(opened, _differing(opened))


def is_image(value: JsonObject) -> bool:
    """Whether this is a before-image of rows."""
    return "parts" in value or {"kind", "table", "key", "rows"} <= value.keys()


def conflicts(work: Work, image: JsonObject, restored: Sequence[JsonObject] = ()) -> list[str]:
    """Return what others changed since, row by row; nothing is locked.

    Args:
        restored: before-images that are put back first, in that order.
    """
    found: list[str] = []
    first = [part for one in restored for part in _parts(one)]
    for part in _parts(image):
        opened = _opened(work, part)
        current = _current(opened, lock=False)
        for one in first:
            if one["table"] == part["table"]:
                _foresee(opened, current, one)
        found += [difference.text for difference in _differences(opened, current, part["kind"])]
        first.append(part)
    return found


def _parts(image: JsonObject) -> list[JsonObject]:
    """The changes of one step, in the order in which they are taken back."""
    return list(reversed(image["parts"])) if "parts" in image else [image]


def _foresee(opened: _Image, current: dict[KeyOf, Row], image: JsonObject) -> None:
    """Alter rows to what they are once another before-image of their table is put back.

    Its rows are found by this one's key, whichever its own was: before-images hold whole rows.
    """
    for item in image["rows"]:
        before: Row = item["before"] or {}
        left = current.pop(_named(opened.key, {**before, **(item["after"] or {})}), None)
        if image["kind"] == "UPDATE" and left is not None:
            left = {**left, **{column: before[column] for column in item["after"]}}
        elif image["kind"] == "DELETE":
            left = left or before
        else:
            continue
        if (name := _named(opened.key, left)) in opened.rows:
            current[name] = left


@dataclass(frozen=True)
class _Difference:
    """One thing that is not as the change left it. `column` empty: the row itself is gone or there again."""

    text: str
    column: str = ""


def _opened(work: Work, image: JsonObject) -> _Image:
    table = Table.parse(image["table"])
    key = list(image["key"])
    rows = {_key(key, item): item for item in image["rows"]}
    return _Image(work, table, columns(work, table), key, rows)


def _current(image: _Image, *, lock: bool) -> dict[KeyOf, Row]:
    return select(image.work, image.table, image.shape, image.key, list(image.rows), lock=lock)


def _key(key: Sequence[str], item: JsonObject) -> KeyOf:
    return _named(key, item["before"] or item["after"])


def _named(key: Sequence[str], row: Row) -> KeyOf:
    return tuple(row[name] for name in key)


def _differing(image: _Image) -> list[str]:
    """The columns that the change altered in any row; only these are compared and restored."""
    touched = {column for item in image.rows.values() for column in item["after"]}
    return [column.name for column in image.shape if column.name in touched]


def _differences(image: _Image, current: dict[KeyOf, Row], kind: str) -> Iterator[_Difference]:
    """What others changed since the change left it."""
    if kind == "DELETE":
        for name in current:
            yield _Difference(f"{image.shown(name)} is there again: others inserted it since")
        return
    watched = _differing(image)
    if kind == "INSERT":
        watched = [column.name for column in image.shape]
    for name, item in image.rows.items():
        left = {**(item["before"] or {}), **item["after"]}
        row = current.get(name)
        if row is None:
            yield _Difference(f"{image.shown(name)} is gone: others deleted it since")
            continue
        for column in watched:
            if row[column] != left.get(column):
                what = f"{image.shown(name)}, column {column}"
                yield _Difference(f"{what}: others changed it since the step left it", column)


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


def _insert(image: _Image) -> int:
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
