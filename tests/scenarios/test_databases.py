"""The database of a rehearsal: filled from YAML, CSV and SQL, on the rehearsal's clock, compared row by row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from psycopg import Connection

from tests.unit.edges.rehearsal.kit import make_ground, played, seen
from worlds.rehearsal.scratch import Scratch, adopt, scratch_database
from worlds.servers import PostgresServer

SQL = """
rehearsal: due jobs are reset
playbook: shop/sql
clock: "2026-03-01T10:00:00Z"
world:
  warehouse:
    sql: ["CREATE TYPE state AS ENUM ('ready', 'stuck')", more.sql]
    tables: {jobs: {file: jobs.csv, columns: {state: state}}}
expect:
  run: succeeded
  outputs: {now: "2026-03-01 10:00:00+00", before: 1, after: 2}
  changes: [{target: public.jobs, rows: 2, set: {state: [stuck, ready]}}]
"""
CSV = "id,state,run_after\n1,stuck,2026-03-01T09:59:00Z\n2,stuck,2026-03-01T10:30:00Z\n3,stuck,2026-03-01T12:00:00Z\n"


def test_rows_of_a_file_change_by_the_rehearsals_clock(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    ground = make_ground(tmp_path)
    (tmp_path / "jobs.csv").write_text(CSV)
    (tmp_path / "more.sql").write_text("CREATE TABLE notes (id bigint PRIMARY KEY)")
    result = played(ground, tmp_path, SQL, lambda _: postgres_server.dsn)
    assert result.ok, (result.error, result.misses)
    off = played(ground, tmp_path, SQL.replace("rows: 2", "rows: 3"), lambda _: postgres_server.dsn)
    assert "2 of them" in seen(off)["the change of public.jobs"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path, postgres_server: PostgresServer) -> None:
    result = played(make_ground(tmp_path), tmp_path, SQL, lambda _: postgres_server.dsn)
    assert "there is no file" in result.error
    assert "more.sql" in result.error


LATER = """
  later:
    - {after: {step: due, in: 40m}, sql: "UPDATE jobs SET run_after = now() WHERE id = 3"}
expect:
"""


def test_what_others_do_meanwhile_is_seen_at_its_moment(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    (tmp_path / "jobs.csv").write_text(CSV)
    (tmp_path / "more.sql").write_text("CREATE TABLE notes (id bigint PRIMARY KEY)")
    text = SQL.replace(
        "expect:\n", LATER.replace("  later", "    later").replace("    - {", "      - {")
    )
    text = text.replace("after: 2}", "after: 3}")
    at = "run_after: ['2026-03-01T12:00:00+00:00', '2026-03-01T10:40:00+00:00']"
    others = f"{{target: public.jobs, rows: 1, set: {{state: [stuck, ready], {at}}}}}"
    text = text.replace("[{target", f"[{others}, {{target")
    ground = make_ground(tmp_path)
    result = played(ground, tmp_path, text, lambda _: postgres_server.dsn)
    assert result.ok, (result.error, result.misses)
    never = text.replace("in: 40m", "in: 40d")
    assert not played(ground, tmp_path, never, lambda _: postgres_server.dsn).ok
    broken = text.replace("WHERE id = 3", "WHERE jd = 3")
    assert not played(ground, tmp_path, broken, lambda _: postgres_server.dsn).ok


@pytest.fixture
def scratch(postgres_server: PostgresServer) -> Iterator[Scratch]:
    made = scratch_database(postgres_server.dsn, f"again_{uuid4().hex[:8]}")
    made.connection.execute("SELECT set_config('rehearsal.now', '2026-03-01 10:00+00', false)")
    yield made
    made.close()


def laid(scratch: Scratch) -> tuple[Any, list[Any]]:
    """Lay a table out, put rows in, and return which table it is and what a plain SELECT yields."""
    text = "CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text UNIQUE)"

    def build(connection: Connection[Any]) -> None:
        connection.execute(text.encode())
        adopt(connection)

    scratch.lay("notes", build)
    run = scratch.connection.execute
    run("INSERT INTO notes (text) SELECT chr(96 + n) FROM generate_series(1, 5) n")
    run("UPDATE notes SET text = text || '!' WHERE id < 3")
    return run("SELECT 'public.notes'::regclass::oid").fetchone(), run("TABLE notes").fetchall()


def test_a_database_that_is_used_again_is_as_one_made_anew(scratch: Scratch) -> None:
    table, rows = laid(scratch)
    scratch.connection.execute("CREATE SCHEMA stanch; CREATE TABLE stanch.tokens (key text)")
    again, same = laid(scratch)
    assert again == table  # emptied, not made anew
    assert same == rows  # numbers and order
    assert scratch.connection.execute("SELECT to_regnamespace('stanch')").fetchone() == (None,)


@pytest.mark.parametrize(
    "sql", ["ALTER TABLE notes ADD more int", "CREATE TABLE extra (id int)", "DROP INDEX x"]
)
def test_a_database_that_a_playbook_alters_is_made_anew(scratch: Scratch, sql: str) -> None:
    table, rows = laid(scratch)
    if "DROP" in sql:
        scratch.connection.execute("CREATE INDEX x ON notes (text)")
        scratch.connection.execute(
            "DELETE FROM rehearsal.altered"
        )  # as if it had always been there
    scratch.connection.execute(sql.encode())
    anew, same = laid(scratch)
    assert anew != table
    assert same == rows
