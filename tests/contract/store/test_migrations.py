"""The migrations build exactly the tables that the statements use, once, and never touch newer ones."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import make_url

from engine.domain.entry import Entry
from engine.journal import migrate as migrations
from engine.journal.columns import metadata
from engine.journal.database import open_store
from engine.journal.migrate import SchemaTooNew, migrate
from tests.contract.store.conftest import KEYS, Place
from worlds.servers import PostgresServer


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/stanch.db"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.create_database("empty_stanch", replace=True)


def test_the_version_that_is_compared_at_start_is_the_last_migrations() -> None:
    script = ScriptDirectory.from_config(migrations.alembic_config())
    assert script.get_heads() == [migrations.HEAD]


def test_a_new_sqlite_file_gets_the_tables_that_the_migrations_build(tmp_path: Path) -> None:
    """`make schemas` writes sqlite.sql out of the migrations; who changes one without the other is told."""
    assert migrations.tables_of_migrations() == migrations.NEW.read_text(encoding="utf-8")
    path = tmp_path / "stanch.db"
    migrate(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        made = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    assert len(made) == migrations.NEW.read_text(encoding="utf-8").count("CREATE ")
    assert mode == "wal"
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_migrations_build_the_tables_of_the_metadata(place: Place) -> None:
    url = make_url(place.url)
    if not place.is_sqlite:
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    with engine.connect() as connection, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the index that `shown` leaves out
        options = {"compare_type": True, "include_name": shown if place.is_sqlite else None}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        built = inspect(connection)
        for table in metadata.tables.values():
            names = {index["name"] for index in built.get_indexes(table.name)}
            wanted = {index.name for index in table.indexes}
            if place.is_sqlite:
                wanted.discard("runs_ready")  # compared by its statement below
            assert wanted <= names, table.name
    engine.dispose()


def shown(name: str | None, kind: str, _: object) -> bool:
    """SQLite cannot tell expressions in an index: that one is compared by its statement below."""
    return not (kind == "index" and name == "runs_ready")


def test_indexes_of_some_rows_are_of_the_same_rows_on_postgresql(postgres: Place) -> None:
    built = dict(postgres.sql("SELECT indexname::text, indexdef FROM pg_indexes"))
    partial = [i for t in metadata.tables.values() for i in t.indexes if "where" in i.info]
    assert partial
    for index in partial:
        condition = built[str(index.name)].partition(" WHERE ")[2]
        condition = condition.replace("::text", "").replace("<> ALL (ARRAY[", "NOT IN (")
        condition = condition.replace("= ANY (ARRAY[", "IN (")
        wanted = index.info["where"]
        assert re.sub(r"[()\]]", "", condition) == re.sub(r"[()]", "", wanted), index.name


def normal(text: str) -> str:
    return " ".join(text.replace('"', "").split()).replace("( ", "(").replace(" )", ")")


def test_the_migrations_write_what_the_metadata_would(tmp_path: Path) -> None:
    """SQLite keeps the statements themselves: partial conditions and WITHOUT ROWID compare too."""

    def statements(path: Path) -> dict[str, str]:
        engine = create_engine(f"sqlite:///{path}")
        with engine.connect() as connection:
            rows = connection.exec_driver_sql(
                "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL "
                "AND type IN ('table', 'index') AND name != 'alembic_version'"
            ).fetchall()
        engine.dispose()
        return {name: normal(statement) for name, statement in rows}

    migrate(f"sqlite:///{tmp_path}/migrated.db")
    engine = create_engine(f"sqlite:///{tmp_path}/created.db")
    metadata.create_all(engine)
    engine.dispose()
    assert statements(tmp_path / "migrated.db") == statements(tmp_path / "created.db")


def test_opening_twice_keeps_what_is_there(empty: str) -> None:
    for n in (1, 2):
        store = open_store(empty, keys=KEYS)
        assert store.write(lambda tx: tx.journal.append("node:a", [Entry("x")])) == n
        store.close()


def test_an_old_file_that_is_not_in_wal_mode_is_brought_to_it_under_use(tmp_path: Path) -> None:
    path = tmp_path / "stanch.db"
    migrate(f"sqlite:///{path}")
    holder = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    holder.execute("PRAGMA journal_mode = DELETE")
    holder.execute("BEGIN IMMEDIATE")
    free = threading.Timer(0.3, lambda: holder.execute("ROLLBACK"))
    free.start()
    store = open_store(f"sqlite:///{path}", keys=KEYS)
    assert store.write(lambda tx: tx.journal.append("node:a", [Entry("x")])) == 1
    free.join()
    store.close()
    holder.close()
    found = sqlite3.connect(path)
    assert found.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    found.close()


OPEN = """
import sys
from engine.journal.database import open_store
from engine.journal.keys import Keys
open_store(sys.argv[1], keys=Keys.generate()).close()
"""


def test_processes_that_start_at_once_migrate_once(empty: str) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", OPEN, empty], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in started:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    open_store(empty, keys=KEYS).close()


def test_tables_of_a_newer_version_are_left_alone(place: Place) -> None:
    place.sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNew, match=r"9999.*run the newer Stanch"):
        place.open()
    assert place.sql("SELECT version_num FROM alembic_version") == [("9999",)]


def test_an_open_of_current_tables_imports_only_what_it_uses(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/stanch.db"
    migrate(url)
    heavy = ("alembic", "psycopg", "sqlalchemy.dialects.postgresql", "cryptography")
    code = OPEN + f"assert not (found := set({heavy}) & set(sys.modules)), found"
    subprocess.run([sys.executable, "-c", code, url], check=True, timeout=60)


@pytest.mark.real
def test_a_schema_of_ones_own_on_a_shared_server_is_honoured(
    postgres_server: PostgresServer,
) -> None:
    url = postgres_server.create_database("shared_stanch", replace=True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA mine"))
    store = open_store(f"{url}?options=-csearch_path%3Dmine", keys=KEYS)
    assert store.write(lambda tx: tx.journal.append("node:a", [Entry("x")])) == 1
    store.close()
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT DISTINCT table_schema FROM information_schema.tables "
            "WHERE table_name IN ('entries', 'alembic_version')"
        ).fetchall()
    assert found == [("mine",)]
