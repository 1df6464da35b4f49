"""What is refused because a rollback would not take it back (DESIGN 6, "Read-only worlds").

Two nets. This module's first one needs no server: kinds of statements and names of functions in the parse
tree. The second asks the server: a function that it calls volatile, and that is not known to be harmless,
is refused as well, so that a name missing here is still caught.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from actions.postgres.parsing import CHANGES, Statement, holds
from engine.contract import Unplannable

# Acting outside the transaction: other sessions, files, other servers, the server itself, sequences, or
# locks and settings that outlive it. A trailing * stands for any ending.
_OUTSIDE_NAMES = """
    pg_terminate_backend pg_cancel_backend pg_reload_conf pg_rotate_logfile* pg_promote
    pg_log_backend_memory_contexts pg_switch_wal pg_switch_xlog pg_create_restore_point
    pg_wal_replay_* pg_start_backup pg_stop_backup pg_backup_start pg_backup_stop
    pg_create_physical_replication_slot pg_create_logical_replication_slot pg_drop_replication_slot
    pg_copy_physical_replication_slot pg_copy_logical_replication_slot pg_replication_*
    pg_logical_slot_* pg_logical_emit_message pg_sync_replication_slots
    pg_stat_reset* pg_stat_statements_reset pg_stat_clear_snapshot pg_prewarm autoprewarm_*
    pg_read_file pg_read_binary_file pg_ls_* pg_stat_file pg_file_* pg_current_logfile
    pg_import_system_collations pg_extension_config_dump
    lo_export lo_import lo_create lo_creat lo_unlink lo_put lo_from_bytea lo_truncate* lowrite
    dblink* postgres_fdw_* setval set_config
    pg_advisory_lock* pg_try_advisory_lock* pg_advisory_unlock*
    query_to_xml* cursor_to_xml* ts_stat ts_rewrite brin_summarize_* brin_desummarize_range
    gin_clean_pending_list pg_sleep* query_export_to_s3 table_import_from_s3
"""
_OUTSIDE = _OUTSIDE_NAMES.split()
_OUTSIDE_PATTERN = re.compile(
    r"(?:" + "|".join(re.escape(name).replace(r"\*", r"\w*") for name in _OUTSIDE) + r")\Z"
)
_OUTSIDE_WORD = re.compile(
    r"\b(?:" + "|".join(re.escape(name).replace(r"\*", r"\w*") for name in _OUTSIDE) + r")\s*\(",
    re.IGNORECASE,
)

# Volatile in the catalogue, and yet taken back by a rollback or without effect on others.
_HARMLESS_NAMES = """
    random random_normal gen_random_uuid uuidv4 uuidv7 clock_timestamp timeofday nextval currval
    lastval setseed pg_notify pg_advisory_xact_lock pg_advisory_xact_lock_shared
    pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared txid_current pg_current_xact_id
    pg_relation_size pg_table_size pg_total_relation_size pg_indexes_size pg_database_size
    pg_tablespace_size pg_stat_get_activity pg_lock_status pg_blocking_pids
"""
HARMLESS = frozenset(_HARMLESS_NAMES.split())

_WHY = {
    "TransactionStmt": "transaction control would end the rehearsal",
    "CopyStmt": "COPY moves data past the transaction, into files or programs",
    "DoStmt": "a DO block can do anything, and its rows cannot be counted",
    "CallStmt": "CALL can commit by itself, and its rows cannot be counted",
    "VacuumStmt": "VACUUM and ANALYZE cannot be rolled back",
    "CreatedbStmt": "CREATE DATABASE cannot run inside a transaction",
    "DropdbStmt": "DROP DATABASE cannot run inside a transaction",
    "AlterSystemStmt": "ALTER SYSTEM changes the server's files",
    "IndexStmt": "schema changes are not planned by row; CONCURRENTLY cannot be rolled back",
    "ReindexStmt": "schema changes are not planned by row; CONCURRENTLY cannot be rolled back",
    "TruncateStmt": "TRUNCATE has no row count; write DELETE FROM",
    "ExplainStmt": "EXPLAIN ANALYZE runs what it explains",
    "PrepareStmt": "prepared statements hide what runs",
    "ExecuteStmt": "prepared statements hide what runs",
    "VariableSetStmt": "session settings outlive the step",
    "NotifyStmt": "use a messaging step",
    "ListenStmt": "sessions are shared",
    "LockStmt": "locks are taken by the engine, by target",
    "LoadStmt": "LOAD brings code into the server",
    "CheckPointStmt": "CHECKPOINT cannot be rolled back",
}


def refuse_query(statement: Statement) -> None:
    """Let only a plain SELECT, VALUES or TABLE through.

    Raises:
        Unplannable: with the reason and what to use instead.
    """
    if statement.kind in CHANGES:
        raise Unplannable(
            f"postgres.query only reads; use postgres.execute for {CHANGES[statement.kind]}"
        )
    if statement.kind != "SelectStmt":
        raise Unplannable(f"postgres.query takes one SELECT; {_why(statement.kind)}")
    for kind, word in CHANGES.items():
        if holds(statement, kind):
            raise Unplannable(f"postgres.query only reads, and this WITH holds a {word}")
    if holds(statement, "intoClause"):
        raise Unplannable("SELECT … INTO creates a table; postgres.query only reads")
    if holds(statement, "LockingClause"):
        raise Unplannable("FOR UPDATE takes locks, which a read does not; leave it out")
    refuse_functions(statement)


def refuse_change(statement: Statement) -> None:
    """Let only one INSERT, UPDATE, DELETE or MERGE through, whose rows a rollback takes back.

    Raises:
        Unplannable: with the reason and what to use instead.
    """
    refuse_functions(statement)
    if statement.kind == "SelectStmt":
        raise Unplannable("a SELECT changes nothing; use postgres.query")
    if statement.kind not in CHANGES:
        raise Unplannable(
            f"postgres.execute takes one INSERT, UPDATE, DELETE or MERGE; {_why(statement.kind)}"
        )
    clause = statement.node.get("withClause", {})
    for item in clause.get("ctes", []):
        for kind in item["CommonTableExpr"]["ctequery"]:
            if kind in CHANGES:
                raise Unplannable(
                    f"a {CHANGES[kind]} inside WITH is not counted; write it as a step of its own"
                )
    if statement.node.get("returningList") or statement.node.get("returningClause"):
        raise Unplannable("leave RETURNING out: declare `key`, and the output lists the keys")
    if statement.written is not None and statement.written.schema == "pg_catalog":
        raise Unplannable("the system catalogue is not written by hand")


def refuse_functions(statement: Statement) -> None:
    """Refuse calls that are known by name to act outside the transaction.

    Raises:
        Unplannable: naming the function.
    """
    for _, name in sorted(statement.functions, key=lambda item: item[1]):
        if _OUTSIDE_PATTERN.match(name.lower()):
            raise Unplannable(
                f"{name}() acts outside the transaction, so it cannot be planned without doing it"
            )


def outside_calls(source: str) -> str | None:
    """Return the first function in a function's body that acts outside the transaction, or None."""
    match = _OUTSIDE_WORD.search(source)
    return match.group().rstrip("( \t\n") if match else None


def unknown_functions(volatile: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """Return which of the volatile functions (`schema.name`) are neither harmless nor allowed."""
    known = set(allowed)
    return sorted(
        name
        for name in set(volatile)
        if name not in known
        and not (name.startswith("pg_catalog.") and name.removeprefix("pg_catalog.") in HARMLESS)
    )


def _why(kind: str) -> str:
    word = kind.removesuffix("Stmt")
    return _WHY.get(kind, f"{word} statements are not planned by row")
