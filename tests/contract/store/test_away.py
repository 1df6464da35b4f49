"""The database away, full, locked or cut: nothing kept, nobody waits for ever, and it works again after."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from engine.domain.entry import Entry
from engine.domain.errors import StoreUnavailable
from engine.journal.database import Database, open_store
from engine.journal.store import Tx
from tests.contract.store.conftest import KEYS, Place
from tests.contract.store.relay import Relay
from worlds.servers import PostgresServer


def note(tx: Tx) -> int:
    return tx.journal.append("node:a", [Entry("note")])


def big(tx: Tx) -> int:
    return tx.journal.append("node:a", [Entry("note", {"text": "x" * 200_000})])


def count(store: Database) -> int:
    return len(store.read(lambda tx: tx.journal.read("node:a")))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stanch.db"


@pytest.fixture
def sqlite_store(path: Path) -> Iterator[Database]:
    store = open_store(f"sqlite:///{path}", keys=KEYS, busy=0.2)
    yield store
    store.close()


def test_a_full_disk_keeps_nothing_of_what_it_refused(sqlite_store: Database) -> None:
    sqlite_store.write(note)

    def narrow(tx: Tx) -> None:  # as little room as if the disk were full: SQLITE_FULL is the same
        session = tx.session  # type: ignore[attr-defined]
        ((pages,),) = session._fetch("PRAGMA page_count", ())
        session._fetch(f"PRAGMA max_page_count = {pages + 4}", ())

    sqlite_store.write(narrow)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"disk is full.*make room|full"):
            sqlite_store.write(big)
    assert count(sqlite_store) == 1
    assert sqlite_store.write(note) == 2  # what still fits is written
    sqlite_store.write(lambda tx: tx.session._fetch("PRAGMA max_page_count = 100000", ()))  # type: ignore[attr-defined]
    assert sqlite_store.write(big) == 3


def test_one_work_too_big_for_the_disk_does_not_fail_the_others_of_its_group(
    sqlite_store: Database,
) -> None:
    entered, free = threading.Event(), threading.Event()

    def first(tx: Tx) -> int:
        session = tx.session  # type: ignore[attr-defined]
        ((pages,),) = session._fetch("PRAGMA page_count", ())
        session._fetch(f"PRAGMA max_page_count = {pages + 4}", ())
        entered.set()
        free.wait(10)
        return note(tx)

    futures = [sqlite_store.submit(first)]
    assert entered.wait(10)
    futures += [sqlite_store.submit(work) for work in (note, big, note)]
    free.set()
    assert sorted(futures[n].result(10) for n in (0, 1, 3)) == [1, 2, 3]
    with pytest.raises(StoreUnavailable):
        futures[2].result(10)
    assert count(sqlite_store) == 3


def test_a_file_that_another_process_locks_is_waited_for_then_refused(
    path: Path, sqlite_store: Database
) -> None:
    sqlite_store.write(note)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    futures = [sqlite_store.submit(note) for _ in range(3)]
    for future in futures:
        with pytest.raises(StoreUnavailable, match="another process holds the file"):
            future.result(5)
    assert count(sqlite_store) == 1  # readers are not kept out
    other.execute("ROLLBACK")
    other.close()
    assert sqlite_store.write(note) == 2


REFUSED = """
import sys
from engine.domain.errors import StoreUnavailable
from tests.contract.store.test_away import KEYS, count, note, open_store
from tests.refusals import refuse_threads
store = open_store(sys.argv[1], keys=KEYS)
refuse_threads()
for _ in range(2):
    try:
        store.write(note)
    except StoreUnavailable as error:
        print(error)
print(count(store))
store.close()
"""


def test_where_no_thread_can_be_started_nobody_waits_for_the_writer(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, f"sqlite:///{path}"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    first, second, kept = done.stdout.splitlines()
    assert first == second
    assert "the journal's thread cannot be started (can't start new thread)" in first
    assert "nothing was kept" in first
    assert kept == "0"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_said_so(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(StoreUnavailable, match="cannot be made"):
        open_store(f"sqlite:///{closed}/stanch.db", keys=KEYS)


def test_a_path_that_is_no_file_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for url in (f"sqlite:///{tmp_path}", f"sqlite:///{tmp_path}/file/stanch.db"):
        with pytest.raises(StoreUnavailable, match="look"):
            open_store(url, keys=KEYS)


def test_a_file_that_is_no_database_is_said_so(path: Path) -> None:
    path.write_text("this is no database, but it is long enough to be asked" * 40)
    with pytest.raises(StoreUnavailable, match="not a database"):
        open_store(f"sqlite:///{path}", keys=KEYS)


def test_the_journal_is_its_owners_alone(path: Path, sqlite_store: Database) -> None:
    sqlite_store.write(note)
    for each in path.parent.glob("stanch.db*"):
        assert each.stat().st_mode & 0o077 == 0, each


def test_what_was_written_is_synced_before_it_is_answered(sqlite_store: Database) -> None:
    def settings(tx: Tx) -> tuple[object, object]:
        session = tx.session  # type: ignore[attr-defined]
        return (
            session._fetch("PRAGMA synchronous", ()),
            session._fetch("PRAGMA journal_mode", ()),
        )

    assert sqlite_store.write(settings) == ([(2,)], [("wal",)])


# ---------------------------------------------------------------- PostgreSQL


def cut(place: Place, what: str) -> int:
    """End the store's sessions of one kind from outside; return how many there were."""
    return len(
        place.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = current_database() AND application_name = 'stanch {what}'"
        )
    )


@pytest.mark.real
def test_a_connection_cut_while_idle_is_replaced(postgres: Place) -> None:
    store = postgres.open()
    assert store.write(note) == 1
    assert count(store) == 1
    assert cut(postgres, "writer") == cut(postgres, "reader") == 1
    time.sleep(0.05)
    assert store.write(note) == 2
    assert count(store) == 2


@pytest.mark.real
def test_a_connection_cut_in_the_middle_does_the_work_again_once(postgres: Place) -> None:
    store = postgres.open()
    times: list[int] = []

    def work(tx: Tx) -> int:
        n = note(tx)
        times.append(n)
        if len(times) == 1:
            cut(postgres, "writer")
        return note(tx)

    assert store.write(work) == 2
    assert times == [1, 1]
    assert count(store) == 2


@pytest.mark.real
@pytest.mark.parametrize("committed", [False, True])
def test_an_answer_lost_at_commit_is_looked_up(postgres: Place, committed: bool) -> None:
    """The connection passes through a relay that swallows the COMMIT, or the answer to it."""
    with Relay(postgres.url, committed) as relay:
        store = open_store(relay.url, keys=KEYS)
        try:
            assert store.write(note) == 1
            runs: list[int] = []

            def work(tx: Tx) -> int:
                runs.append(1)
                return note(tx)

            relay.armed = True
            assert store.write(work) == 2
            assert not relay.armed, "the relay was not in the way of a commit"
            assert len(runs) == (1 if committed else 2)
            assert count(store) == 2
        finally:
            store.close()


@pytest.mark.real
def test_a_server_that_is_away_fails_everybody_at_once_and_works_when_back(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    with PostgresServer(tmp_path / "own") as server:
        store = open_store(server.dsn, keys=KEYS)
        try:
            store.write(lambda tx: tx.workers.beat("w1", 5.0))
            assert store.write(note) == 1
            server.kill()
            started = time.monotonic()
            futures = [store.submit(note) for _ in range(5)]
            for future in futures:
                with pytest.raises(StoreUnavailable, match="look whether the server runs"):
                    future.result(10)
            with pytest.raises(StoreUnavailable):
                store.read(note)
            assert time.monotonic() - started < 8
            server.start()
            assert store.write(note) == 2
            assert store.write(lambda tx: tx.workers.beat("w1", 5.0))
            assert count(store) == 2
        finally:
            store.close()


@pytest.mark.real
def test_a_server_that_is_not_there_is_said_without_the_password(
    postgres_server: PostgresServer,
) -> None:
    url = postgres_server.dsn_of("nowhere", password="hunter2")
    with pytest.raises(StoreUnavailable, match="nowhere") as caught:
        open_store(url, keys=KEYS)
    assert "hunter2" not in str(caught.value)


@pytest.mark.real
def test_a_server_that_only_reads_is_said_so(postgres: Place) -> None:
    store = postgres.open()
    store.write(note)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(
            f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'.encode()
        )
    cut(postgres, "writer")
    with pytest.raises(StoreUnavailable, match="read-only"):
        store.write(note)
    options = "-c default_transaction_read_only=off"
    with psycopg.connect(postgres.url, autocommit=True, options=options) as connection:
        connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only'.encode())
    cut(postgres, "writer")
    assert store.write(note) == 2
