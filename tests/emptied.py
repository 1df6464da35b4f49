"""One PostgreSQL database for many tests, each of which finds it as new."""

from __future__ import annotations

import time
from typing import Any

import psycopg
from psycopg import sql

from worlds.servers import PostgresServer

PATIENCE = 30.0  # seconds until a connection that was ended has gone

# A connection that was closed or cut lives on in the server for a moment, with its locks and perhaps a
# commit that is still under way.
_END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def end_connections(connection: psycopg.Connection[Any], database: str) -> None:
    """End all connections to a database but this one, and wait until they have gone."""
    until = time.monotonic() + PATIENCE
    while connection.execute(_END_OTHERS, [database]).fetchall():
        assert time.monotonic() < until, f"the connections to {database} do not end"
        time.sleep(0.005)


# What can be in a database besides the objects of its schemas, which go with them.
_CATALOGS = (
    *("namespace", "class", "proc", "type", "extension", "event_trigger", "publication", "cast"),
    *("largeobject_metadata", "default_acl", "language", "foreign_server", "db_role_setting"),
    *("foreign_data_wrapper", "depend", "description", "statistic_ext", "subscription"),
)
_LOOK = rf"""
    SELECT ARRAY[{", ".join(f"(SELECT count(*) FROM pg_{name})" for name in _CATALOGS)}],
           (SELECT coalesce(datacl, acldefault('d', datdba))::text FROM pg_database
             WHERE datname = current_database()),
           (SELECT array_agg(ARRAY[nspname, nspowner::regrole::text, nspacl::text] ORDER BY nspname)
              FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%temp\_%')
"""
_WIPE = r"""
    DO $$ DECLARE schema name; BEGIN
        FOR schema IN SELECT nspname FROM pg_namespace
            WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
        LOOP EXECUTE format('DROP SCHEMA %I CASCADE', schema); END LOOP;
    END $$;
    CREATE SCHEMA public AUTHORIZATION pg_database_owner;
    GRANT USAGE ON SCHEMA public TO PUBLIC;
    COMMENT ON SCHEMA public IS 'standard public schema';
"""


class Emptied:
    """One database of a server that each test finds as new, under another name.

    Making one costs a fifth of a second of processor time, emptying it a tenth of that. Where emptying leaves
    it otherwise than it was made, it is made anew.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._admin = psycopg.connect(server.dsn, autocommit=True)
        self._name = ""
        self._looks: Any = None

    def fresh(self, name: str) -> str:
        """Return the address of the database of that name, in which nothing is."""
        if self._looks is None or not self._emptied():
            self._make(name)
            self._name = name
        else:
            # Whoever still holds the old name, a pool that connects again say, does not find it.
            end_connections(self._admin, self._name)
            names = sql.Identifier(self._name), sql.Identifier(name)
            self._admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*names))
            self._name = name
        return self._server.dsn_of(name)

    def close(self) -> None:
        self._admin.close()

    def _make(self, name: str) -> None:
        if self._name:
            self._server.drop_database(self._name)
        address = self._server.create_database(name)
        with psycopg.connect(address, autocommit=True) as connection:
            self._looks = connection.execute(_LOOK.encode()).fetchone()

    def _emptied(self) -> bool:
        end_connections(self._admin, self._name)
        with psycopg.connect(self._server.dsn_of(self._name), autocommit=True) as connection:
            try:
                connection.execute(_WIPE.encode())
            except psycopg.Error:
                return False
            return bool(connection.execute(_LOOK.encode()).fetchone() == self._looks)
