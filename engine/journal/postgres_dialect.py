"""How statements are compiled for PostgreSQL: for the writer, and for readers, which lock nothing."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.dialects.postgresql.psycopg import PGCompiler_psycopg
from sqlalchemy.engine import Dialect

POSTGRES: Dialect = psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]


class _Unlocked(PGCompiler_psycopg):
    """Leaves FOR UPDATE out: a reader locks nothing, and PostgreSQL would refuse it."""

    def for_update_clause(self, select: Any, **kw: Any) -> str:  # noqa: ARG002
        return ""


class _Reading(psycopg.dialect):
    statement_compiler = _Unlocked


POSTGRES_READ: Dialect = _Reading(paramstyle="format")  # type: ignore[no-untyped-call]
