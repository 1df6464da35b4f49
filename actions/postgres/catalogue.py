"""What the server knows about a statement: columns, keys, triggers, functions, and what it locked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC

from actions.postgres.client import Work
from actions.postgres.parsing import Statement, Table
from actions.postgres.refusals import outside_calls, unknown_functions
from actions.postgres.settings import PostgresSettings
from actions.postgres.tokentable import TABLE
from engine.contract import ActionFailed, Category, FreshChange, Unplannable

# Lock modes that a writer takes; the two weaker ones are a reader's and a foreign key check's.
_READ_MODES = {"AccessShareLock", "RowShareLock"}


@dataclass(frozen=True)
class Column:
    """A column: its name, its type as a cast writes it, and whether it is computed."""

    name: str
    type: str
    generated: bool


@dataclass(frozen=True)
class Touched:
    """A relation that the transaction locked."""

    table: Table
    writes: bool


def columns(work: Work, table: Table) -> list[Column]:
    """Return the table's columns in order.

    Raises:
        ActionFailed: (permanent) there is no such table.
    """
    rows = work.run(
        """
        SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type,
               a.attgenerated <> '' AS generated
          FROM pg_attribute a
         WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped
         ORDER BY a.attnum
        """,
        [table.quoted],
    )
    if not rows:
        what = f"there is no table {table} that this role can see"
        raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
    return [Column(row["name"], row["type"], row["generated"]) for row in rows]


def check_key(work: Work, table: Table, key: list[str]) -> None:
    """See that the declared key names one row.

    Raises:
        ActionFailed: (permanent) no unique index covers it, naming those that there are.
    """
    rows = work.run(
        """
        SELECT i.indexrelid::regclass::text AS name,
               ARRAY(SELECT a.attname::text FROM pg_attribute a
                      WHERE a.attrelid = i.indrelid
                        AND a.attnum = ANY(i.indkey::int2[])) AS columns
          FROM pg_index i
         WHERE i.indrelid = to_regclass($1::text) AND i.indisunique AND i.indisvalid
           AND i.indpred IS NULL AND i.indexprs IS NULL
        """,
        [table.quoted],
    )
    if any(set(row["columns"]) <= set(key) for row in rows):
        return
    known = "; ".join(", ".join(row["columns"]) for row in rows) or "none"
    what = f"key [{', '.join(key)}] does not identify rows of {table}: its unique keys are {known}"
    raise ActionFailed(Category.PERMANENT, what, effect_possible=False)


def refuse_unknown_functions(work: Work, statement: Statement, settings: PostgresSettings) -> None:
    """Refuse volatile functions that nothing says to be harmless, and bodies that act outside.

    Raises:
        Unplannable: naming the function and how to allow it.
    """
    if not statement.functions:
        return
    allowed = settings.allow.functions if settings.allow else []
    names = sorted(statement.functions, key=str)
    rows = work.run(
        """
        SELECT DISTINCT n.nspname || '.' || p.proname AS name, p.prosrc AS source, p.provolatile AS v,
               n.nspname = 'pg_catalog' AS builtin
          FROM unnest($1::text[], $2::text[]) AS f(schema, name)
          JOIN pg_proc p ON p.proname = f.name
          JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE CASE WHEN f.schema IS NULL THEN n.nspname IN ('pg_catalog', 'public')
                    ELSE n.nspname = f.schema END
        """,
        [[schema for schema, _ in names], [name for _, name in names]],
    )
    unknown = unknown_functions((row["name"] for row in rows if row["v"] == "v"), allowed)
    if unknown:
        raise Unplannable(
            f"{unknown[0]}() is volatile, so a rollback may not take back what it does; if it only "
            f"writes to the database, list it in the connection's allow.functions"
        )
    for row in rows:
        call = None if row["builtin"] else outside_calls(row["source"])
        if call:
            raise Unplannable(f"{row['name']}() calls {call}(), which acts outside the transaction")


def triggers(work: Work, table: Table) -> list[str]:
    """Return the names of the table's own triggers and rules.

    Raises:
        Unplannable: one of them calls what acts outside the transaction.
    """
    rows = work.run(
        """
        SELECT t.tgname::text AS name, p.prosrc AS source
          FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
         WHERE t.tgrelid = to_regclass($1::text) AND NOT t.tgisinternal AND t.tgenabled <> 'D'
        UNION ALL
        SELECT r.rulename::text, pg_get_ruledef(r.oid)
          FROM pg_rewrite r
         WHERE r.ev_class = to_regclass($1::text) AND r.rulename <> '_RETURN'
         ORDER BY 1
        """,
        [table.quoted],
    )
    for row in rows:
        call = outside_calls(row["source"])
        if call:
            raise Unplannable(
                f"trigger {row['name']} of {table} calls {call}(), which acts outside the transaction"
            )
    return [row["name"] for row in rows]


def cascades(work: Work, statement: Statement) -> list[str]:
    """Return the tables into which a foreign key carries this DELETE or UPDATE."""
    kind = {"DeleteStmt": "confdeltype", "UpdateStmt": "confupdtype"}.get(statement.kind)
    if kind is None or statement.written is None:
        return []
    rows = work.run(
        f"""
        SELECT c.conrelid::regclass::text AS name,
               ARRAY(SELECT a.attname::text FROM pg_attribute a
                      WHERE a.attrelid = c.confrelid AND a.attnum = ANY(c.confkey)) AS columns
          FROM pg_constraint c
         WHERE c.contype = 'f' AND c.confrelid = to_regclass($1::text) AND c.{kind} IN ('c', 'n', 'd')
        """,
        [statement.written.quoted],
    )
    carried = [
        row["name"]
        for row in rows
        if kind == "confdeltype" or set(row["columns"]) & statement.assigned
    ]
    return sorted(set(carried))


def touched(work: Work) -> list[Touched]:
    """Return the tables that this transaction holds locks on, the system's and our own left out."""
    rows = work.run(
        """
        SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
               array_agg(DISTINCT l.mode) AS modes,
               (SELECT min(format('%s.%s', rn.nspname, rc.relname))
                  FROM pg_class rc JOIN pg_namespace rn ON rn.oid = rc.relnamespace
                 WHERE c.relispartition AND rc.oid = pg_partition_root(c.oid)) AS root
          FROM pg_locks l
          JOIN pg_class c ON c.oid = l.relation
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE l.locktype = 'relation' AND l.pid = pg_backend_pid() AND l.granted
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
           AND n.nspname NOT LIKE 'pg_temp%' AND n.nspname NOT LIKE 'pg_toast_temp%'
           AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname <> $1
         GROUP BY 1, 2, 3, c.relispartition, c.oid
         ORDER BY 1, 2
        """,
        [TABLE],
    )
    found: dict[Table, bool] = {}
    for row in rows:
        table = Table.parse(row["root"]) if row["root"] else Table(row["schema"], row["name"])
        writes = not set(row["modes"]) <= _READ_MODES
        if row["kind"] == "f" and writes:
            raise Unplannable(f"{table} is a foreign table: what it writes is on another server")
        found[table] = found.get(table, False) or writes
    return [Touched(table, writes) for table, writes in found.items()]


def _who(user: str, program: str) -> str:
    return f"{user} ({program})" if program else user


def uncommitted(work: Work, table: Table) -> tuple[FreshChange, ...]:
    """Return the sessions that have changed the table for some seconds and not committed it yet.

    Short transactions, as programs make them all the time, are left out. Whose session it is needs no
    right; since when it lasts is shown to the same user and to `pg_read_all_stats`, and without it nothing
    is told.
    """
    rows = work.run(
        """
        SELECT DISTINCT coalesce(a.usename::text, 'somebody') AS who, a.application_name AS program,
               a.pid AS pid, greatest(a.xact_start, a.state_change) AS at
          FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
         WHERE l.locktype = 'relation' AND l.relation = to_regclass($1::text) AND l.granted
           AND l.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
           AND l.mode IN ('RowExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                          'AccessExclusiveLock')
           AND a.xact_start < clock_timestamp() - interval '5 seconds'
         ORDER BY at DESC LIMIT 5
        """,
        [table.quoted],
    )
    return tuple(
        FreshChange(
            _who(row["who"], row["program"]),
            row["at"].astimezone(UTC),
            f"{table}, not committed yet, session {row['pid']}",
        )
        for row in rows
    )


def refuse_beyond_allowed(
    work: Work, settings: PostgresSettings, seen: Iterable[Touched], written: Table | None
) -> None:
    """Hold what the transaction really touched, by triggers and functions too, to the allow-list.

    A foreign key's check of the other table is no more than the key itself and is let through.

    Raises:
        ActionFailed: (configuration) naming the table.
    """
    if settings.allow is None:
        return
    beyond = [item for item in seen if not settings.allow.allows(item.table)]
    if not beyond:
        return
    related = _related(work, written) if written else set()
    for item in beyond:
        if item.writes or str(item.table) not in related:
            verb = "writes to" if item.writes else "reads"
            what = f"the statement also {verb} {item.table}, which the allow-list does not name"
            raise ActionFailed(Category.CONFIGURATION, what, effect_possible=False)


def _related(work: Work, table: Table) -> set[str]:
    rows = work.run(
        """
        SELECT format('%s.%s', n.nspname, c.relname) AS name
          FROM pg_constraint k
          JOIN pg_class c ON c.oid IN (k.conrelid, k.confrelid)
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE k.contype = 'f' AND to_regclass($1::text) IN (k.conrelid, k.confrelid)
        """,
        [table.quoted],
    )
    return {row["name"] for row in rows}
