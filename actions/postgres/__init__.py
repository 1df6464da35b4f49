"""PostgreSQL: reads in read-only transactions, changes rehearsed, tokened and undone by key."""

from actions.postgres.backup import PostgresBackup
from actions.postgres.batches import ExecuteBatches
from actions.postgres.connection import PostgresKind
from actions.postgres.execute import PostgresExecute
from actions.postgres.health import PostgresHealth, QueueHealth
from actions.postgres.history import CleanHistory
from actions.postgres.query import PostgresQuery
from actions.postgres.recipes import ReleaseOrphans, ResetFailed
from actions.postgres.restore import PostgresRestore

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
    PostgresBackup,
    PostgresRestore,
)

__all__ = [
    "DECLARATIONS",
    "CleanHistory",
    "ExecuteBatches",
    "PostgresBackup",
    "PostgresExecute",
    "PostgresHealth",
    "PostgresKind",
    "PostgresQuery",
    "PostgresRestore",
    "QueueHealth",
    "ReleaseOrphans",
    "ResetFailed",
]
