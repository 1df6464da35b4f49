"""PostgreSQL: reads in read-only transactions, changes rehearsed, tokened and undone by key."""

from actions.postgres.connection import PostgresKind
from actions.postgres.execute import PostgresExecute
from actions.postgres.query import PostgresQuery

DECLARATIONS = (PostgresKind, PostgresQuery, PostgresExecute)

__all__ = ["DECLARATIONS", "PostgresExecute", "PostgresKind", "PostgresQuery"]
