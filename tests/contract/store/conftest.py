"""One suite, every store: each test here runs on an SQLite file and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from engine.domain.alert import Alert, AlertStatus, Delivery
from engine.domain.entry import Entry
from engine.domain.ids import new_id
from engine.domain.run import RunMode, RunState
from engine.journal.columns import metadata
from engine.journal.database import Database, open_store
from engine.journal.keys import Keys
from engine.journal.migrate import HEAD, migrate
from engine.journal.rows import RunRow
from engine.journal.store import Tx
from tests.databases import put_database
from tests.emptied import end_connections
from worlds.servers import PostgresServer

KEYS = Keys.generate()


@dataclass
class Place:
    """A database of the test's own. `open` opens a store on it: one more node, with one shared time."""

    url: str
    path: Path | None  # of the SQLite file
    stack: ExitStack
    moved: list[float] = field(default_factory=lambda: [0.0])

    @property
    def is_sqlite(self) -> bool:
        return self.path is not None

    def open(self, **options: Any) -> Database:
        options.setdefault("keys", KEYS)
        options.setdefault("offset", lambda: self.moved[0])
        store = open_store(self.url, **options)
        self.stack.callback(store.close)
        return store

    def advance(self, seconds: float) -> None:
        """Move the time of every store here."""
        self.moved[0] += seconds

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Do something to the database behind the store's back."""
        if self.path is not None:
            import sqlite3

            with sqlite3.connect(self.path, isolation_level=None) as connection:
                return connection.execute(statement).fetchall()
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="session")
def postgres_store(postgres_server: PostgresServer) -> str:
    url = postgres_server.create_database("stanch_store", replace=True)
    migrate(url)
    return url


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Place]:
    path = put_database(tmp_path / "stanch.db")
    with ExitStack() as stack:
        yield Place(f"sqlite:///{path}", path, stack)


# A database a test would cost seven megabytes each. What tests do to the tables is undone here.
RESET = "; ".join(
    [
        "SET session_replication_role = replica",  # lets the triggers sleep
        *(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)),
        "ALTER TABLE entries ENABLE TRIGGER ALL",
        "ALTER TABLE seals ENABLE TRIGGER ALL",
        f"UPDATE alembic_version SET version_num = '{HEAD}'",
    ]
)


@pytest.fixture
def postgres(postgres_store: str) -> Iterator[Place]:
    with psycopg.connect(postgres_store, autocommit=True) as connection:
        # One that lives on may hold the session lock of "w1", which nearly every test names.
        end_connections(connection, connection.info.dbname)
        connection.execute(RESET.encode())
    with ExitStack() as stack:
        yield Place(postgres_store, None, stack)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.real)])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def store(place: Place) -> Database:
    return place.open()


# ---------------------------------------------------------------- what tests say in one word


START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def alert(
    fingerprint: str = "f1",
    *,
    status: AlertStatus = AlertStatus.FIRING,
    starts_at: datetime = START,
    **labels: str,
) -> Alert:
    return Alert(fingerprint, status, {"alertname": "Down", **labels}, {"summary": "s"}, starts_at)


def delivery(*alerts: Alert, **fields: Any) -> Delivery:
    return Delivery("stanch", "{}:{}", {"job": "etl"}, "http://am", alerts, **fields)


def make_run(tx: Tx, **fields: Any) -> str:
    values: dict[str, Any] = {
        "id": new_id("run"),
        "playbook": "etl/repair",
        "program": "d" * 64,
        "rule": "etl",
        "incident_id": None,
        "state": RunState.QUEUED,
        "mode": RunMode.AUTO,
        "priority": 5,
        "inputs": {"n": 1},
        "trigger": {"kind": "alert"},
        "requester": "alice",
        "created_at": tx.now(),
        "ended_at": None,
        "epoch": 0,
        "owner": None,
        "reason": "",
    }
    row = RunRow(**{**values, **fields})
    tx.runs.create(row)
    tx.journal.append(row.id, [Entry("run.created", {"playbook": row.playbook})])
    return row.id


def owned(store: Database, worker: str = "w1", **fields: Any) -> RunRow:
    """A new run that `worker` owns."""

    def work(tx: Tx) -> RunRow:
        made = make_run(tx, **fields)
        assert tx.workers.beat(worker, 5.0)
        (row,) = tx.runs.claim(worker, 1)
        assert row.id == made
        return row

    return store.write(work)


Write = Callable[[Tx], Any]
