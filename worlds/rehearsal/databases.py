"""A PostgreSQL database in a rehearsal: a scratch one on a real server, filled anew, on the rehearsal's clock.

The clock is a function `now()` in a schema that stands before pg_catalog on the search path, so that tables'
defaults and statements see the rehearsal's time. What escapes it (`current_timestamp`) is refused by `check`.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from engine.domain.canonical import Json, JsonObject, canonical_json
from engine.domain.clock import format_time, parse_time
from engine.domain.errors import InvalidInput
from engine.domain.rehearsed import Message, NetChange, Scene
from worlds.rehearsal.databasespec import DatabaseSpec, LaterSpec, TableSpec
from worlds.rehearsal.specs import Span, read_span

if TYPE_CHECKING:
    import psycopg

SERVICE = "postgres"
CLOCK = "rehearsal"  # the schema of now()
PATH = f"{CLOCK}, pg_catalog, public"
_OWN = frozenset(
    {CLOCK, "stanch"}
)  # schemas that are not the database's own; stanch holds applied keys
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)\Z")
_NUMBER = re.compile(r"-?\d+\Z")
_FRACTION = re.compile(r"-?\d+\.\d+\Z")


class DatabaseWorld:
    """A scratch database, its beginning, and what differs from it."""

    def __init__(self, spec: DatabaseSpec, scene: Scene) -> None:
        self._scene = scene
        name = re.sub(r"\W", "_", f"rehearsal_{os.getpid()}_{scene.connection}").lower()
        self._dsn = _database(scene.service(SERVICE), name)
        with self._connect() as connection:
            _wipe(connection)
            self._fill(connection, spec)
            self._before = _dump(connection)
        self._later = list(spec.later)

    def settings(self) -> Mapping[str, Any]:
        return {"dsn": self._dsn, "read_dsn": None, "password": None}

    def transport(self, *, writable: bool) -> Any:
        del writable

        def local() -> Mapping[str, str]:
            self._go_on()
            return {"search_path": PATH, f"{CLOCK}.now": format_time(self._scene.clock.now())}

        return local

    def messages(self) -> Sequence[Message]:
        return ()

    def unanswered(self) -> Sequence[str]:
        return ()

    def unasked(self) -> Sequence[str]:
        return [f"later, after {one.after.step}: {one.sql[:80]}" for one in self._later]

    def close(self) -> None:
        """The database is wiped by its next user, and goes with the server."""

    def changes(self) -> Sequence[NetChange]:
        with self._connect() as connection:
            after = _dump(connection)
        found: list[NetChange] = []
        for table in sorted({*self._before, *after}):
            found += _table_changes(table, self._before.get(table), after.get(table))
        return found

    def _go_on(self) -> None:
        """Do what others have done by now, each at its own moment."""
        import psycopg

        due: list[tuple[datetime, LaterSpec]] = []
        for one in self._later:
            done = self._scene.done(one.after.step)
            if (
                done is not None
                and done + timedelta(seconds=one.after.in_) <= self._scene.clock.now()
            ):
                due.append((done + timedelta(seconds=one.after.in_), one))
        for moment, one in sorted(due, key=lambda entry: entry[0]):
            self._later.remove(one)
            try:
                with self._connect(moment) as connection:
                    connection.execute(self._statement(one.sql).encode())
            except psycopg.Error as error:
                where = f"world {self._scene.connection}: later, after {one.after.step}"
                raise InvalidInput(f"{where}: {one.sql[:80]!r}: {error}") from None

    # ------------------------------------------------------------ filling

    def _connect(self, moment: datetime | None = None) -> psycopg.Connection[Any]:
        import psycopg

        options = f"-c search_path={PATH.replace(' ', '')} -c TimeZone=UTC"
        connection = psycopg.connect(self._dsn, autocommit=True, options=options)
        connection.execute(
            "SELECT set_config(%s, %s, false)",
            [f"{CLOCK}.now", format_time(moment or self._scene.clock.now())],
        )
        return connection

    def _fill(self, connection: psycopg.Connection[Any], spec: DatabaseSpec) -> None:
        import psycopg

        where = f"world {self._scene.connection}"
        for text in spec.sql:
            try:
                connection.execute(self._statement(text).encode())
            except psycopg.Error as error:
                raise InvalidInput(f"{where}: {text[:80]!r}: {error}") from None
        for name, given in spec.tables.items():
            table = self._table(given)
            try:
                _make(connection, name, table, self._moment)
            except psycopg.Error as error:
                raise InvalidInput(f"{where}: table {name}: {error}") from None

    def _statement(self, text: str) -> str:
        if not text.endswith(".sql"):
            return text
        path = self._scene.folder / text
        if not path.is_file():
            raise InvalidInput(f"world {self._scene.connection}: there is no file {path}")
        return path.read_text()

    def _table(self, given: list[dict[str, Any]] | str | TableSpec) -> TableSpec:
        if isinstance(given, list):
            return TableSpec(rows=given)
        spec = TableSpec(file=given) if isinstance(given, str) else given
        if spec.file is None:
            return spec
        path = self._scene.folder / spec.file
        if not path.is_file():
            raise InvalidInput(f"world {self._scene.connection}: there is no file {path}")
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                {name: _cell(text) for name, text in row.items()} for row in csv.DictReader(file)
            ]
        return spec.model_copy(update={"rows": rows})

    def _moment(self, value: Json) -> Json:
        """Replace `{ago: 5m}` and `{in: 5m}` by times."""
        if isinstance(value, dict) and len(value) == 1:
            for word, sign in (("ago", -1), ("in", 1)):
                if word in value:
                    span: Span = read_span(value[word])
                    return self._scene.clock.now() + timedelta(seconds=sign * span)
        return value


def _database(admin: str, name: str) -> str:
    """Make the database where it is not there, and return its address."""
    import psycopg
    from psycopg import sql
    from psycopg.conninfo import make_conninfo

    with psycopg.connect(admin, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if known.fetchone() is None:
            connection.execute(
                sql.SQL("CREATE DATABASE {} STRATEGY wal_log").format(sql.Identifier(name))
            )
    return make_conninfo(admin, dbname=name)


def _wipe(connection: psycopg.Connection[Any]) -> None:
    from psycopg import sql

    rows = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> "
        "'information_schema'"
    ).fetchall()
    for (schema,) in rows:
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
    connection.execute(
        f"CREATE SCHEMA public; CREATE SCHEMA {CLOCK};"
        f"CREATE FUNCTION {CLOCK}.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE"
        f" AS $$ SELECT current_setting('{CLOCK}.now')::timestamptz $$".encode()
    )


def _make(
    connection: psycopg.Connection[Any],
    name: str,
    spec: TableSpec,
    moment: Callable[[Json], Json],
) -> None:
    """Create the table, unless a statement made it, and fill it."""
    from psycopg import sql

    schema, _, table = name.rpartition(".")
    where = sql.Identifier(schema or "public", table)
    rows = [{column: moment(value) for column, value in row.items()} for row in spec.rows]
    names = list(dict.fromkeys([*spec.columns, *(column for row in rows for column in row)]))
    types = {
        column: spec.columns.get(column) or _type(row.get(column) for row in rows)
        for column in names
    }
    known = connection.execute(
        "SELECT to_regclass(%s)", [f"{schema or 'public'}.{table}"]
    ).fetchone()
    if known is None or known[0] is None:
        if schema:
            connection.execute(
                sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema))
            )
        key = spec.key or (["id"] if "id" in names else [])
        parts = [sql.SQL("{} {}").format(sql.Identifier(one), sql.SQL(types[one])) for one in names]
        if key:
            keys = sql.SQL(", ").join(map(sql.Identifier, key))
            parts.append(sql.SQL("PRIMARY KEY ({})").format(keys))
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(where, sql.SQL(", ").join(parts)))
    with connection.cursor() as cursor:
        for row in rows:
            statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                where,
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(sql.Placeholder() * len(row)),
            )
            cursor.execute(statement, [_sent(value) for value in row.values()])


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


def _cell(text: str | None) -> Json:
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


# ---- differences ----------------------------------------------------------------------------------

Rows = dict[str, JsonObject]  # by key


def _dump(connection: psycopg.Connection[Any]) -> dict[str, Rows]:
    from psycopg import sql

    tables = connection.execute(
        "SELECT n.nspname, c.relname, COALESCE((SELECT array_agg(a.attname::text ORDER BY a.attnum)"
        " FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey::int2[])"
        " WHERE i.indrelid = c.oid AND i.indisprimary), '{}')"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"
    ).fetchall()
    found: dict[str, Rows] = {}
    for schema, table, key in tables:
        if schema in _OWN:
            continue
        query = sql.SQL("SELECT to_jsonb(t) FROM {} t").format(sql.Identifier(schema, table))
        rows = [row for (row,) in connection.execute(query)]
        found[f"{schema}.{table}"] = {_name_of(row, key): row for row in rows}
    return found


def _name_of(row: JsonObject, key: Sequence[str]) -> str:
    return canonical_json([row[name] for name in key] if key else row)


def _table_changes(table: str, before: Rows | None, after: Rows | None) -> Iterator[NetChange]:
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
