"""The token table: one row for each applied key, committed with the change itself (DESIGN 6, protection).

It holds the receipt and the before-image, so that after a crash the target itself tells what was done.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from actions.postgres.client import PostgresClient, Work
from actions.postgres.parsing import quoted
from actions.postgres.tokentable import TABLE, statements, table_name
from engine.contract import ActionFailed, Category
from engine.domain.canonical import Json, JsonObject


@dataclass(frozen=True)
class Token:
    """What was kept with a change."""

    receipt: JsonObject
    image: Json


def prepare(client: PostgresClient) -> None:
    """Create the token table where it is missing. May be called again at any time.

    Raises:
        ActionFailed: (configuration) the role may not; the message holds the statements to run.
    """
    schema = client.settings.token_schema
    with client.reading(role="write") as work:
        state, role = _state(work, schema)
    if state == "ready":
        return
    if state == "forbidden":
        raise _needs_admin(client, role)
    for statement in statements(schema):
        with client.writing() as work:
            _lock(work, "stanch:prepare")  # two CREATE … IF NOT EXISTS at one time can collide
            if not (statement.startswith("CREATE SCHEMA") and _has_schema(work, schema)):
                work.run(statement)


def prune(client: PostgresClient, days: int) -> int:
    """Delete tokens older than `days`, before-images with them, and return how many.

    A pruned key can no longer be confirmed or undone: keep them longer than any run may rest.
    """
    with client.writing() as work:
        name = table_name(client.settings.token_schema)
        count, _ = work.counted(
            f"DELETE FROM {name} WHERE applied_at < now() - make_interval(days => $1::int)", [days]
        )
        return count


def readiness(work: Work, client: PostgresClient) -> str | None:
    """Return a note where the first apply will create the table; None where it stands.

    Raises:
        ActionFailed: (configuration) it is missing or closed to the role, and the role may not mend that.
    """
    state, role = _state(work, client.settings.token_schema)
    if state == "forbidden":
        raise _needs_admin(client, role)
    if state == "missing":
        return f"the first apply creates {client.settings.token_schema}.{TABLE}"
    return None


def hold(work: Work, key: str) -> None:
    """Let only one transaction at a time work under `key`: a second waits, up to the lock time-out."""
    _lock(work, key)


def in_flight(work: Work, key: str) -> bool:
    """Tell whether another transaction works under `key` just now."""
    row = work.run("SELECT pg_try_advisory_xact_lock($1::bigint) AS free", [_number(key)])[0]
    return not row["free"]


def find(work: Work, client: PostgresClient, key: str) -> Token | None:
    """Return what was kept under `key`, or None. A missing table means that nothing was ever applied."""
    name = table_name(client.settings.token_schema)
    if work.run("SELECT to_regclass($1::text) IS NULL AS missing", [name])[0]["missing"]:
        return None
    rows = work.run(f"SELECT receipt, image FROM {name} WHERE key = $1", [key])
    return Token(rows[0]["receipt"], rows[0]["image"]) if rows else None


def keep(work: Work, client: PostgresClient, key: str, token: Token) -> None:
    """Write the row for `key` in this transaction."""
    from psycopg.types.json import Json as PgJson

    name = table_name(client.settings.token_schema)
    work.run(
        f"INSERT INTO {name} (key, receipt, image) VALUES ($1, $2, $3)",
        [key, PgJson(token.receipt), PgJson(token.image)],
    )


def _state(work: Work, schema: str) -> tuple[str, str]:
    row = work.run(
        """
        SELECT current_user::text AS role,
               c.oid IS NOT NULL AS there,
               coalesce(has_schema_privilege(n.oid, 'USAGE')
                        AND has_table_privilege(c.oid, 'SELECT')
                        AND has_table_privilege(c.oid, 'INSERT'), false) AS usable,
               CASE WHEN n.oid IS NULL
                    THEN has_database_privilege(current_database(), 'CREATE')
                    ELSE has_schema_privilege(n.oid, 'CREATE') END AS may_create
          FROM (SELECT 1) AS one
          LEFT JOIN pg_namespace n ON n.nspname = $1
          LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = $2
        """,
        [schema, TABLE],
    )[0]
    if row["usable"]:
        return "ready", row["role"]
    return ("missing" if row["may_create"] and not row["there"] else "forbidden"), row["role"]


def _has_schema(work: Work, schema: str) -> bool:
    """CREATE SCHEMA IF NOT EXISTS asks for the right on the database even where the schema stands."""
    return bool(work.run("SELECT 1 FROM pg_namespace WHERE nspname = $1", [schema]))


def _needs_admin(client: PostgresClient, role: str) -> ActionFailed:
    schema = client.settings.token_schema
    grants = [
        f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(role)}",
        f"GRANT SELECT, INSERT ON {table_name(schema)} TO {quoted(role)}",
    ]
    script = "; ".join([*statements(schema), *grants])
    what = f"postgres connection {client.name!r}: role {role!r} cannot use {schema}.{TABLE}, which keeps "
    what += f"changes from happening twice. Let an administrator run: {script};"
    return ActionFailed(Category.CONFIGURATION, what, effect_possible=False)


def _lock(work: Work, key: str) -> None:
    work.run("SELECT pg_advisory_xact_lock($1::bigint)", [_number(key)])


def _number(key: str) -> int:
    """A lock's number in PostgreSQL is 64 bits, signed."""
    return int.from_bytes(hashlib.sha256(f"stanch:{key}".encode()).digest()[:8], signed=True)
