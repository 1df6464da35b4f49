"""Brings the database's tables to what this Stanch needs: made at first, migrated later, never emptied.

Alembic is imported only where there is something to do; an up-to-date database is known by its version row. A
new SQLite file gets its tables from `sqlite.sql`, which says what the migrations come to and is written by them.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from engine.domain.errors import StanchError, StoreUnavailable

HEAD = "0008"
SCRIPTS = Path(__file__).parent / "migrations"
NEW = SCRIPTS / "sqlite.sql"
_LOCK = 0x5374616E6368  # one migration at a time, on PostgreSQL


class SchemaTooNew(StanchError):
    """A newer Stanch made the tables; this one must not touch them."""


def migrate(url: str) -> None:
    """Make or migrate the tables. Two processes that start at once do it once.

    Raises:
        SchemaTooNew: the tables are of a version that this Stanch does not know.
        StoreUnavailable: the database cannot be reached or written.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(parsed.database or "")
        _make_file(path)
        if _is_current(path) or _is_made(path):
            return
    engine = _engine(parsed)
    try:
        if parsed.get_backend_name() == "postgresql":
            with engine.connect() as connection:
                if version(connection) == HEAD:
                    return
        with engine.begin() as connection:
            if parsed.get_backend_name() == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            _upgrade(connection, parsed)
        if parsed.get_backend_name() == "sqlite":
            _use_log(engine)
    except DBAPIError as error:
        shown = parsed.render_as_string(hide_password=True)
        raise StoreUnavailable(
            f"the journal {shown} cannot be opened: {error.orig}; look whether it is there and "
            "whether Stanch may write it"
        ) from None
    finally:
        engine.dispose()


def _is_current(path: Path) -> bool:
    """Whether the file's tables are of this version: asked at every start, so without an engine for it."""
    found = None
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=10)) as connection:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return found == (HEAD,)  # no tables, older ones, or something wrong that the way below reports


def _is_made(path: Path) -> bool:
    """Make all tables of a new file in one transaction; False where it holds some, or nothing can be made,
    which the way below reports."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=10)) as connection:
        connection.isolation_level = None
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("SELECT 1 FROM sqlite_master").fetchone() is not None:
            return False
        for statement in NEW.read_text(encoding="utf-8").split(";\n"):
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
        return True
    return False


def tables_of_migrations() -> str:
    """Return the text of `sqlite.sql`: the tables and indexes that the migrations build."""
    from sqlalchemy import StaticPool

    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.begin() as connection:
        _upgrade(connection, engine.url)
        found = connection.execute(
            text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        )
        made = [str(row[0]).strip() for row in found if "sqlite_sequence" not in row[0]]
    engine.dispose()
    row = f"INSERT INTO alembic_version (version_num) VALUES ('{HEAD}')"  # noqa: S608  a constant here
    return "".join(f"{line.rstrip()}\n" for line in ";\n".join([*made, row, ""]).splitlines())


def version(connection: Connection) -> str | None:
    """Return the version of the tables, None where there are none."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _upgrade(connection: Connection, url: URL) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config()
    present = version(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if present is not None and present not in known:
        raise SchemaTooNew(
            f"the journal {url.render_as_string(hide_password=True)} has tables of version "
            f"{present}, this Stanch knows up to {HEAD}: run the newer Stanch that made them"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def alembic_config() -> Any:
    """Return Alembic's configuration of the journal's migrations."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        return create_engine(url.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": 10})

    # The driver would begin by itself, and late: two processes could both find no tables.
    @event.listens_for(engine, "connect")
    def _manual(connection: Any, _: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _use_log(engine: Engine) -> None:
    """Leave a new file in WAL mode, before anybody else uses it; the mode stays."""
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def _make_file(path: Path) -> None:
    """Make folder and file readable by their owner only: the journal tells much."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreUnavailable(
            f"the journal {path} cannot be made: {error.strerror}; look at the path and its rights"
        ) from None
