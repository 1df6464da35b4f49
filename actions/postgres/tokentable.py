"""The token table: its name, and the statements that make it."""

from __future__ import annotations

from actions.postgres.parsing import quoted

TABLE = "stanch_tokens"
TOKENS = f"stanch.{TABLE}"  # how rights name it, whatever its schema is


def table_name(schema: str) -> str:
    """Return the quoted name of the token table."""
    return f"{quoted(schema)}.{quoted(TABLE)}"


def statements(schema: str) -> list[str]:
    """Return what an administrator runs once where the role may not create the table itself."""
    name = table_name(schema)
    columns = "key text PRIMARY KEY, receipt json NOT NULL, image json"
    columns += ", applied_at timestamptz NOT NULL DEFAULT now()"
    return [
        f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}",
        f"CREATE TABLE IF NOT EXISTS {name} ({columns})",
    ]
