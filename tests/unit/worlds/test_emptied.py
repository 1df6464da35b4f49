"""The database that tests use again is as one made anew, or is one."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.emptied import Emptied

pytestmark = pytest.mark.real
FILLED = """
    CREATE TYPE mood AS ENUM ('calm'); CREATE SCHEMA other;
    CREATE TABLE other.jobs (n int GENERATED ALWAYS AS IDENTITY, mood mood); CREATE SEQUENCE counter;
    CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'; GRANT CREATE ON SCHEMA public TO PUBLIC
"""
NAMES = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$'"
INSIDE = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
RIGHTS = "SELECT nspowner::regrole::text, nspacl::text FROM pg_namespace WHERE nspname = 'public'"


def looks(address: str, *statements: str) -> list[Any]:
    """Which database that is, what can be seen in it, and then do something to it."""
    with psycopg.connect(address, autocommit=True) as connection:
        number = connection.execute(
            "SELECT oid FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        found = [connection.execute(sql.encode()).fetchall() for sql in (NAMES, INSIDE, RIGHTS)]
        for statement in statements:
            connection.execute(statement.encode())
    return [number, found]


def test_it_is_emptied_and_under_another_name(emptied_database: Emptied) -> None:
    before = looks(emptied_database.fresh("once"), FILLED)
    assert before[1][:2] == [[("public",)], []]
    assert looks(emptied_database.fresh("again")) == before
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(emptied_database.fresh("third").replace("third", "again"))


@pytest.mark.parametrize(
    "altered",
    [
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        "ALTER DATABASE once SET work_mem = '1MB'",
        "SELECT lo_create(0)",
        "REVOKE CONNECT ON DATABASE once FROM PUBLIC",
    ],
)
def test_it_is_made_anew_where_emptying_leaves_something(
    emptied_database: Emptied, altered: str
) -> None:
    first, seen = looks(emptied_database.fresh("once"), altered)
    assert looks(emptied_database.fresh("again"))[1] == seen
    assert looks(emptied_database.fresh("third"))[0] != first
