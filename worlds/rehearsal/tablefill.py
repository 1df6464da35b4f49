"""Tables of a rehearsal's database: their columns and types from the rows where nothing else tells, and their rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from engine.domain.canonical import Json
from engine.domain.clock import parse_time

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)\Z")
_NUMBER = re.compile(r"-?\d+\Z")
_FRACTION = re.compile(r"-?\d+\.\d+\Z")


@dataclass(frozen=True)
class TablePlan:
    """A table as it is to be.

    Attributes:
        types: of its columns, as SQL writes them. key: its primary key. rows: with times in place.
    """

    name: str
    types: Mapping[str, str]
    key: tuple[str, ...]
    rows: Sequence[Mapping[str, Json]]

    @classmethod
    def of(
        cls,
        name: str,
        rows: Sequence[Mapping[str, Json]],
        columns: Mapping[str, str],
        key: Sequence[str] | None,
    ) -> TablePlan:
        """Guess what is not said: types from the rows, `id` as the key."""
        names = list(dict.fromkeys([*columns, *(column for row in rows for column in row)]))
        types = {one: columns.get(one) or _type(row.get(one) for row in rows) for one in names}
        return cls(name, types, tuple(key or (["id"] if "id" in names else [])), rows)

    @property
    def structure(self) -> tuple[Any, ...]:
        """What it is without its rows."""
        return self.name, tuple(self.types.items()), self.key

    @property
    def place(self) -> tuple[str, str]:
        """Its schema and its name there."""
        schema, _, table = self.name.rpartition(".")
        return schema or "public", table


def make(connection: psycopg.Connection[Any], plan: TablePlan) -> None:
    """Create the table, unless a statement made it."""
    from psycopg import sql

    schema, table = plan.place
    known = connection.execute("SELECT to_regclass(%s)", [f"{schema}.{table}"]).fetchone()
    if known is not None and known[0] is not None:
        return
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    parts = [sql.SQL("{} {}").format(sql.Identifier(a), sql.SQL(b)) for a, b in plan.types.items()]
    if plan.key:
        parts.append(sql.SQL("PRIMARY KEY ({})").format(_names(plan.key)))
    where = sql.Identifier(schema, table)
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(where, sql.SQL(", ").join(parts)))


def fill(connection: psycopg.Connection[Any], plan: TablePlan) -> None:
    """Insert the rows, in their order."""
    from psycopg import sql

    with connection.cursor() as cursor:
        for columns, rows in groupby(plan.rows, tuple):
            statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(*plan.place),
                _names(columns),
                sql.SQL(", ").join(sql.Placeholder() * len(columns)),
            )
            cursor.executemany(statement, [[_sent(row[one]) for one in columns] for row in rows])


def _names(columns: Iterable[str]) -> sql.Composed:
    from psycopg import sql

    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _type(values: Iterable[Json]) -> str:
    """Guess a column's type from its values."""
    kinds = {_kind(value) for value in values if value is not None}
    if kinds == {"bigint", "double precision"}:
        return "double precision"
    return kinds.pop() if len(kinds) == 1 else "text"


def _kind(value: Json) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "bigint"
    if isinstance(value, float):
        return "double precision"
    if isinstance(value, datetime) or (isinstance(value, str) and _TIME.match(value)):
        return "timestamptz"
    return "jsonb" if isinstance(value, dict | list) else "text"


def _sent(value: Json) -> Json:
    return json.dumps(value) if isinstance(value, dict | list) else value


def cell(text: str | None) -> Json:
    """Read a cell of a CSV file: nothing is null, numbers are numbers, JSON is JSON."""
    if text is None or text == "":
        return None
    if _NUMBER.match(text):
        return int(text)
    if _FRACTION.match(text):
        return float(text)
    if text in ("true", "false"):
        return text == "true"
    if text[0] in "{[":
        try:
            return json.loads(text)
        except ValueError:
            return text
    return parse_time(text) if _TIME.match(text) else text
