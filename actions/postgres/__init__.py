"""PostgreSQL: reads in read-only transactions, changes rehearsed, tokened and undone by key."""

from actions.postgres.batches import ExecuteBatches
from actions.postgres.connection import PostgresKind
from actions.postgres.execute import PostgresExecute
from actions.postgres.health import PostgresHealth, QueueHealth
from actions.postgres.history import CleanHistory
from actions.postgres.query import PostgresQuery
from actions.postgres.recipes import ReleaseOrphans, ResetFailed

DECLARATIONS = (
    PostgresKind,
    PostgresQuery,
    PostgresExecute,
    ExecuteBatches,
    PostgresHealth,
    QueueHealth,
    ReleaseOrphans,
    ResetFailed,
    CleanHistory,
)

__all__ = [
    "DECLARATIONS",
    "CleanHistory",
    "ExecuteBatches",
    "PostgresExecute",
    "PostgresHealth",
    "PostgresKind",
    "PostgresQuery",
    "QueueHealth",
    "ReleaseOrphans",
    "ResetFailed",
]
