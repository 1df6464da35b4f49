"""This process's scratch database for a connection, kept from one rehearsal to the next.

Making tables costs the server tens of milliseconds, emptying them a few. So a database whose structure the
next rehearsal wants again is emptied: rows deleted and vacuumed away, so that new ones lie as in a new table,
sequences set back. An event trigger notes whatever a playbook alters in between; then, and where the structure
differs, everything is dropped and made anew.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

CLOCK = "rehearsal"  # the schema of now()
TOKENS = "stanch"  # where applied keys lie; made by the first apply, and dropped for the next one
PATH = f"{CLOCK}, pg_catalog, public"

Build = Callable[["psycopg.Connection[Any]"], None]


@dataclass
class Scratch:
    """A database of a server, and what is known of what is in it.

    Attributes:
        dsn: its address. connection: in autocommit, of a role that may do anything in it.
        idle: connections of the rehearsed clients by DSN, kept open between rehearsals.
        holds: the structure that was built; None: nothing that can be used again.
    """

    dsn: str
    connection: psycopg.Connection[Any]
    idle: dict[str, list[psycopg.Connection[Any]]] = field(default_factory=dict)
    holds: Hashable | None = None

    def lay(self, structure: Hashable, build: Build) -> None:
        """Make the database one with that structure and no rows but those that `build` makes itself."""
        import psycopg

        if self.holds is None or self.holds != structure or not self._empty():
            self._build(structure, build)
        try:
            for kept in self._clients():
                kept.execute("DISCARD ALL")
        except psycopg.Error:  # they ended while nobody used them
            self._hang_up()

    def close(self) -> None:
        self._hang_up()
        self.connection.close()

    def _clients(self) -> list[psycopg.Connection[Any]]:
        return [one for several in self.idle.values() for one in several]

    def _hang_up(self) -> None:
        for kept in self._clients():
            kept.close()
        self.idle.clear()

    # ------------------------------------------------------------ anew

    def _build(self, structure: Hashable, build: Build) -> None:
        self.holds = None
        self._hang_up()
        self._wipe()
        build(self.connection)
        if self._guarded():
            self.holds = structure

    def _wipe(self) -> None:
        from psycopg import sql

        run = self.connection.execute
        run("DROP EVENT TRIGGER IF EXISTS rehearsal_guard")
        rows = run(
            "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> "
            "'information_schema'"
        ).fetchall()
        for (schema,) in rows:
            run(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
        run(
            f"CREATE SCHEMA public; CREATE SCHEMA {CLOCK};"
            f"CREATE FUNCTION {CLOCK}.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE"
            f" AS $$ SELECT current_setting('{CLOCK}.now')::timestamptz $$".encode()
        )

    def _guarded(self) -> bool:
        """Tell whether what was built can be emptied, with a guard that notes when it is altered."""
        row = self.connection.execute(
            "SELECT rolsuper, EXISTS (SELECT FROM pg_class WHERE relkind = 'm' AND relnamespace <>"
            " 'pg_catalog'::regnamespace), EXISTS (SELECT FROM pg_sequences WHERE last_value IS NOT NULL)"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        if row != (True, False, False) or self._filled():
            return False
        self.connection.execute(_GUARDING.encode())
        return True

    # ------------------------------------------------------------ again

    def _filled(self) -> list[str]:
        """Return the tables that take room, quoted."""
        rows = self.connection.execute(
            "SELECT format('%%I.%%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND pg_relation_size(c.oid) > 0"
            " AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'"
            " AND n.nspname <> ALL (%s)",
            [[TOKENS, CLOCK]],
        ).fetchall()
        return [name for (name,) in rows]

    def _empty(self) -> bool:
        """Take out all rows; tell whether that made it as it was built."""
        import psycopg

        run = self.connection.execute
        try:
            altered = run("SELECT EXISTS (SELECT FROM rehearsal.altered)").fetchone()
            if altered != (False,):
                return False
            tables = self._filled()
            deletes = "".join(f"DELETE FROM {table};" for table in tables)  # noqa: S608  quoted
            run(  # as a replica, which asks no foreign keys and wakes no trigger, the guard's included
                f"SET session_replication_role = replica; {deletes}"
                f"DROP SCHEMA IF EXISTS {TOKENS} CASCADE;"
                "SET session_replication_role = origin".encode()
            )
            if tables:
                run(f"VACUUM {', '.join(tables)}".encode())
            run(
                "SELECT setval(format('%I.%I', schemaname, sequencename), start_value, false)"
                " FROM pg_sequences WHERE last_value IS NOT NULL"
            )
        except psycopg.Error:
            return False
        return not self._filled()  # something kept the rows: they would lie differently


# Objects of the tokens' schema are not the playbook's doing; a DROP names no object at this event.
_GUARDING = """
CREATE TABLE rehearsal.altered (tag text);
CREATE FUNCTION rehearsal.note() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF tg_tag LIKE 'DROP%' OR EXISTS (
        SELECT FROM pg_event_trigger_ddl_commands() AS made WHERE made.schema_name IS DISTINCT FROM 'stanch'
        AND NOT (made.object_type = 'schema' AND made.object_identity = 'stanch')
    ) THEN
        INSERT INTO rehearsal.altered VALUES (tg_tag);
    END IF;
END $$;
CREATE EVENT TRIGGER rehearsal_guard ON ddl_command_end EXECUTE FUNCTION rehearsal.note();
"""


def adopt(connection: psycopg.Connection[Any]) -> None:
    """Move what statements made without naming a schema into public: the clock's comes first on the path."""
    from psycopg import sql

    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'rehearsal'::regnamespace"
        " AND relkind IN ('r', 'p', 'v', 'm')"
    ).fetchall()
    for (name,) in rows:
        connection.execute(
            sql.SQL("ALTER TABLE {} SET SCHEMA public").format(sql.Identifier(CLOCK, name))
        )


_kept: dict[tuple[int, str, str], Scratch] = {}


def scratch_database(admin: str, name: str) -> Scratch:
    """Return this process's database of that name on a server, made where it is not there.

    Args:
        admin: the address of a database of the server whose role may make databases.
    """
    import psycopg

    place = (os.getpid(), admin, name)
    known = _kept.get(place)
    if known is not None:
        with suppress(psycopg.Error):
            known.connection.execute("SELECT 1")
            return known
        known.close()  # its server went; this may be another one at the same address
    dsn = _made(admin, f"{name}_{place[0]}")
    options = f"-c search_path={PATH.replace(' ', '')} -c TimeZone=UTC"
    made = Scratch(dsn, psycopg.connect(dsn, autocommit=True, options=options))
    _kept[place] = made
    return made


def _made(admin: str, name: str) -> str:
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


@atexit.register
def _hang_up() -> None:
    for (process, _, _), one in _kept.items():
        if process == os.getpid():
            one.close()
