"""Making one change inside a transaction, with its rows before and after as exact text.

Every value travels as the text that PostgreSQL itself writes and reads back, so an undo restores it
byte for byte whatever its type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from actions.postgres.catalogue import Column
from actions.postgres.client import Work
from actions.postgres.parsing import CHANGES, Statement, Table, quoted
from actions.postgres.values import to_parameters
from engine.contract import ActionFailed, Category
from engine.domain.canonical import JsonObject

Row = dict[str, str | None]
KeyOf = tuple[str | None, ...]


@dataclass(frozen=True)
class Effect:
    """What a statement did.

    Attributes:
        rows: affected rows, exactly.
        before, after: the rows by key, each as far as there is one; complete where a key was given,
            else `after` holds a few under running numbers.
    """

    rows: int
    before: dict[KeyOf, Row] = field(default_factory=dict)
    after: dict[KeyOf, Row] = field(default_factory=dict)


def run_plain(work: Work, statement: Statement) -> int:
    """Run the statement as it is and return its row count."""
    return work.counted(statement.text, to_parameters(statement.values))[0]


def run_sampled(
    work: Work, statement: Statement, shape: Sequence[Column], key: Sequence[str], few: int
) -> Effect:
    """Run the statement to count its rows, keep a few of them, and take it back.

    The rows are counted on the server; no more than `few` travel.
    """
    if statement.kind == "MergeStmt":  # RETURNING came to MERGE with PostgreSQL 17
        return Effect(run_plain(work, statement))
    work.control("SAVEPOINT stanch_sample")
    text = (
        f"WITH stanch_changed AS ({_returning(statement, shape)}) "
        f"SELECT count(*) OVER () AS stanch_rows, * FROM stanch_changed LIMIT {int(few)}"
    )
    rows = work.run(text, to_parameters(statement.values))
    count = rows[0].pop("stanch_rows") if rows else 0
    for row in rows[1:]:
        row.pop("stanch_rows")
    seen = by_key(rows, key)
    before: dict[KeyOf, Row] = {}
    if statement.kind == "DeleteStmt":
        before, seen = seen, {}
    elif statement.kind == "UpdateStmt" and key:
        assert statement.written is not None
        work.control("ROLLBACK TO SAVEPOINT stanch_sample")
        before = select(work, statement.written, shape, key, list(seen))
        run_plain(work, statement)  # again, so that what is checked after it sees its effect
    work.control("RELEASE SAVEPOINT stanch_sample")
    return Effect(int(count), before, seen)


def run_kept(
    work: Work, statement: Statement, shape: Sequence[Column], key: Sequence[str]
) -> Effect:
    """Run the statement for good and return all its rows before and after.

    An UPDATE runs twice: once, taken back, to learn which rows it will touch; these are then locked and
    read; and once for good. Rows that slipped in between fail the attempt, and nothing was done.

    Raises:
        ActionFailed: (transient) other sessions changed the rows meanwhile.
    """
    text = _returning(statement, shape)
    values = to_parameters(statement.values)
    before: dict[KeyOf, Row] = {}
    if statement.kind == "UpdateStmt":
        assert statement.written is not None
        work.control("SAVEPOINT stanch_look")
        expected = list(by_key(work.run(text, values), key))
        work.control("ROLLBACK TO SAVEPOINT stanch_look")
        before = select(work, statement.written, shape, key, expected, lock=True)
    rows = work.run(text, values)
    found = by_key(rows, key)
    if statement.kind == "DeleteStmt":
        return Effect(len(rows), found, {})
    if statement.kind == "InsertStmt":
        return Effect(len(rows), {}, found)
    slipped = sorted(set(found) - set(before), key=str)
    if slipped:
        what = f"the rows changed while they were locked, at key {_shown(key, slipped[0])}; nothing done"
        raise ActionFailed(Category.TRANSIENT, what, effect_possible=False)
    return Effect(len(rows), {name: before[name] for name in found}, found)


def select(
    work: Work,
    table: Table,
    shape: Sequence[Column],
    key: Sequence[str],
    keys: Sequence[KeyOf],
    *,
    lock: bool = False,
) -> dict[KeyOf, Row]:
    """Return the rows of those keys as text, locked against others where asked."""
    if not keys:
        return {}
    types = {column.name: column.type for column in shape}
    wanted = ", ".join(f"k{position}" for position in range(len(key)))
    arrays = ", ".join(f"${position + 1}::text[]" for position in range(len(key)))
    matches = " AND ".join(
        f"t.{quoted(name)} = u.k{position}::{types[name]}" for position, name in enumerate(key)
    )
    text = (
        f"SELECT {texts('t', shape)} FROM unnest({arrays}) AS u({wanted}) "
        f"JOIN {table.quoted} AS t ON {matches}"
    )
    if lock:
        text += " FOR UPDATE OF t"
    lists = [[item[position] for item in keys] for position in range(len(key))]
    return by_key(work.run(text, lists), key)


def image(statement: Statement, key: Sequence[str], effect: Effect) -> JsonObject:
    """Return the before-image: rows before, and of the rows after what differs."""
    assert statement.written is not None
    return image_of(CHANGES[statement.kind], statement.written, key, effect)


def image_of(kind: str, table: Table, key: Sequence[str], effect: Effect) -> JsonObject:
    """Return the before-image of an INSERT, UPDATE or DELETE of a table."""
    rows = []
    for name in effect.before.keys() | effect.after.keys():
        before, after = effect.before.get(name), effect.after.get(name)
        if before is not None and after is not None:
            after = {column: text for column, text in after.items() if before[column] != text}
        rows.append({"before": before, "after": after})
    return {
        "kind": kind,
        "table": str(table),
        "key": list(key),
        "rows": sorted(rows, key=str),
    }


def sample(key: Sequence[str], effect: Effect, few: int) -> list[JsonObject]:
    """Return a few rows for people: the key, and the columns that differ."""
    shown = []
    for name in list(effect.before.keys() | effect.after.keys())[:few]:
        before, after = effect.before.get(name), effect.after.get(name)
        item: JsonObject = {}
        if key:
            item["key"] = dict(zip(key, name, strict=True))
        if before is not None and after is not None:
            differing = [column for column in after if before[column] != after[column]]
            item["before"] = {column: before[column] for column in differing}
            item["after"] = {column: after[column] for column in differing}
        elif before is not None:
            item["before"] = before
        else:
            item["after"] = after
        shown.append(item)
    return sorted(shown, key=str)


def _returning(statement: Statement, shape: Sequence[Column]) -> str:
    # On a line of its own: the statement may end in a comment.
    return f"{statement.text}\nRETURNING {texts(quoted(statement.alias), shape)}"


def texts(alias: str, shape: Sequence[Column]) -> str:
    """Return the columns as the texts that PostgreSQL writes and reads back."""
    return ", ".join(
        f"{alias}.{quoted(column.name)}::text AS {quoted(column.name)}" for column in shape
    )


def by_key(rows: Sequence[dict[str, Any]], key: Sequence[str]) -> dict[KeyOf, Row]:
    """Return rows of texts by their key, or by running numbers where there is none."""
    if not key:
        return {(str(number),): row for number, row in enumerate(rows)}
    return {tuple(row[name] for name in key): row for row in rows}


def _shown(key: Sequence[str], values: KeyOf) -> str:
    return ", ".join(f"{name}={value}" for name, value in zip(key, values, strict=True))
