"""What differs between two moments of a database: its rows by their keys, those that changed alike as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from engine.domain.canonical import Json, JsonObject, canonical_json
from engine.domain.rehearsed import NetChange
from worlds.rehearsal.scratch import CLOCK, TOKENS

if TYPE_CHECKING:
    import psycopg

_OWN = (CLOCK, TOKENS)  # schemas that are not the database's own

Rows = dict[str, JsonObject]  # by key


def dump(connection: psycopg.Connection[Any]) -> dict[str, Rows]:
    from psycopg import sql

    tables = connection.execute(
        "SELECT n.nspname, c.relname, COALESCE((SELECT array_agg(a.attname::text ORDER BY a.attnum)"
        " FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey::int2[])"
        " WHERE i.indrelid = c.oid AND i.indisprimary), '{}')"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"
    ).fetchall()
    keys = {
        f"{schema}.{table}": (key, schema, table)
        for schema, table, key in tables
        if schema not in _OWN
    }
    found: dict[str, Rows] = {name: {} for name in keys}
    if keys:
        parts = [
            sql.SQL("SELECT {}, to_jsonb(t) FROM {} t").format(
                sql.Literal(name), sql.Identifier(schema, table)
            )
            for name, (_, schema, table) in keys.items()
        ]
        for name, row in connection.execute(sql.SQL(" UNION ALL ").join(parts)):
            found[name][_name_of(row, keys[name][0])] = row
    return found


def _name_of(row: JsonObject, key: Sequence[str]) -> str:
    return canonical_json([row[name] for name in key] if key else row)


def table_changes(table: str, before: Rows | None, after: Rows | None) -> Iterator[NetChange]:
    """Yield the differences of a table: rows that changed alike are one."""
    old, new = before or {}, after or {}
    inserted, deleted = len(set(new) - set(old)), len(set(old) - set(new))
    alike: dict[str, tuple[dict[str, tuple[Json, Json]], int]] = {}
    for key in sorted(set(old) & set(new)):
        fields = {
            name: (old[key].get(name), new[key].get(name))
            for name in sorted({*old[key], *new[key]})
            if old[key].get(name) != new[key].get(name)
        }
        if fields:
            text = canonical_json({name: list(pair) for name, pair in fields.items()})
            kept, count = alike.get(text, (fields, 0))
            alike[text] = (kept, count + 1)
    for fields, count in alike.values():
        yield NetChange(table, fields, count=count)
    if inserted:
        yield NetChange(table, what="created", count=inserted)
    if deleted:
        yield NetChange(table, what="deleted", count=deleted)
