"""psql, for a person. Values go in as psql variables, never into the text of a statement."""

from __future__ import annotations

import json
import re
from typing import Any

from engine.contract.byhand import ByHand, Given, Hand, command, note, secret, text

_PARAM = re.compile(r"%\(([A-Za-z_][A-Za-z0-9_]*)\)s")


def psql(given: Given, at: ByHand, sql: str, *, reads: bool = False) -> str:
    """Return a psql command that runs one statement with its params as variables."""
    settings = at.of(given)
    reference = None
    if settings is not None:
        reference = (settings.read_dsn if reads else None) or settings.dsn
    dsn = reference if isinstance(reference, str) else secret(reference, "DSN")
    words: list[Any] = ["psql", dsn, "-X", "-v", "ON_ERROR_STOP=1"]
    params = given.get("params")
    for name, value in (params if isinstance(params, dict) else {}).items():
        words += ["-v", f"{name}={_literal(value)}"]
    # psql fills variables only in what it reads, not in -c.
    filled = _PARAM.sub(lambda match: f":'{match[1]}'", sql).replace("%%", "%")
    body = filled.strip().rstrip(";")
    mark = "SQL"
    while mark in body:  # what a value holds must not end the text early
        mark += "_"
    return f"{command(*words)} <<'{mark}'\n{body};\n{mark}"


def _within(sql: str) -> str:
    """A change inside a transaction that the person ends, after a look at the row count."""
    return f"BEGIN;\n{sql.strip().rstrip(';')};\n-- look at the count, then replace ROLLBACK by COMMIT\nROLLBACK"


def query(_: object, given: Given, at: ByHand) -> Hand:
    return Hand([psql(given, at, str(given.get("sql", "<sql>")), reads=True)])


def execute(_: object, given: Given, at: ByHand) -> Hand:
    sql = str(given.get("sql", "<sql>"))
    undo = [note("from the rows that you kept before; without them it cannot be taken back")]
    table = given.get("table") or "<the table>"
    keep = note(f"keep the rows first: SELECT * FROM {table} WHERE (the same condition)")
    return Hand([keep, psql(given, at, _within(sql))], undo)


def execute_batches(_: object, given: Given, at: ByHand) -> Hand:
    table, key = given.get("table", "<table>"), given.get("key", "<key>")
    sql = (
        f"UPDATE {table} SET {given.get('set', '<set>')} WHERE {key} IN (SELECT {key} FROM {table} "
        f"WHERE {given.get('where', '<where>')} LIMIT {given.get('batch', 1000)})"
    )
    lines = [
        note("again and again, until no row is changed; keep the rows first"),
        psql(given, at, _within(sql)),
    ]
    return Hand(lines, [note("from the rows that you kept before")])


def clean_history(_: object, given: Given, at: ByHand) -> Hand:
    table = given.get("table", "<table>")
    age = given.get("older_than", "<age>")
    shown = f"{age} seconds" if isinstance(age, int | float) else age
    condition = (
        f"{given.get('time_column', '<time>')} < now() - interval '{_plain(shown)}'{_only(given)}"
    )
    batch = given.get("batch", 1000)
    sql = f"DELETE FROM {table} WHERE ctid IN (SELECT ctid FROM {table} WHERE {condition} LIMIT {batch})"
    return Hand(
        [
            note("keep the rows first, then again and again until none is left"),
            psql(given, at, _within(sql)),
        ],
        [note("from the rows that you kept before")],
    )


def release_orphans(_: object, given: Given, at: ByHand) -> Hand:
    state, age = given.get("state_column", "status"), given.get("older_than", "<age>")
    shown = f"{age} seconds" if isinstance(age, int | float) else age
    sql = (
        f"UPDATE {given.get('table', '<table>')} SET {state} = '{_plain(given.get('pending', 'pending'))}' "
        f"WHERE {state} = '{_plain(given.get('processing', 'processing'))}' "
        f"AND {given.get('time_column', '<time>')} < now() - interval '{_plain(shown)}'{_only(given)}"
    )
    return Hand([psql(given, at, _within(sql))], [note("note the keys of the rows before")])


def reset_failed(_: object, given: Given, at: ByHand) -> Hand:
    state, table = given.get("state_column", "status"), given.get("table", "<table>")
    key = given.get("key") or "ctid"
    name = ", ".join(key) if isinstance(key, list) else str(key)
    sql = (
        f"UPDATE {table} SET {state} = '{_plain(given.get('pending', 'pending'))}' WHERE ({name}) IN "
        f"(SELECT {name} FROM {table} WHERE {state} = '{_plain(given.get('failed', 'failed'))}'{_only(given)} "
        f"LIMIT {given.get('limit', 1000)})"
    )
    return Hand([psql(given, at, _within(sql))], [note("note the keys of the rows before")])


def health(_: object, given: Given, at: ByHand) -> Hand:
    sql = (
        "SELECT pid, state, now() - xact_start AS age, wait_event_type, pg_blocking_pids(pid), left(query, 80) "
        "FROM pg_stat_activity WHERE datname = current_database() ORDER BY xact_start"
    )
    return Hand([psql(given, at, sql, reads=True)])


def queue_health(_: object, given: Given, at: ByHand) -> Hand:
    state = given.get("state_column", "status")
    sql = f"SELECT {state}, count(*) FROM {given.get('table', '<table>')} GROUP BY {state} ORDER BY 2 DESC"
    return Hand([psql(given, at, sql, reads=True)])


def backup(_: object, given: Given, at: ByHand) -> Hand:
    source = f"({given['sql']})" if given.get("sql") else str(given.get("table", "<table>"))
    file = f"{given.get('name', 'backup')}.csv"
    return Hand([psql(given, at, f"\\copy {source} TO '{_plain(file)}' CSV HEADER", reads=True)])


def restore(_: object, given: Given, at: ByHand) -> Hand:
    table = given.get("table", "<table>")
    sql = f"\\copy {table} FROM '<file>' CSV HEADER"
    return Hand(
        [
            note("into a table of its own first, then MERGE by key; keep what is there"),
            psql(given, at, sql),
        ],
        [note("from the rows that you kept before")],
    )


def _literal(value: Any) -> str:
    """A value as PostgreSQL reads it from text; lists as arrays."""
    if isinstance(value, list):
        return "{" + ",".join(json.dumps(text(item), ensure_ascii=False) for item in value) + "}"
    return "" if value is None else text(value)


def _only(given: Given) -> str:
    only = given.get("only")
    if not isinstance(only, dict):
        return ""
    return "".join(f" AND {name} = '{_plain(value)}'" for name, value in only.items())


def _plain(value: Any) -> str:
    """A value inside single quotes of SQL."""
    return text(value).replace("'", "''")
