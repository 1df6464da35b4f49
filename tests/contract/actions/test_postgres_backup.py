"""What backups and restores promise beyond the contract."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actions.postgres import PostgresBackup, PostgresRestore
from engine.contract import ActionFailed, Category
from tests.contract.actions.cases_postgres import connections
from tests.contract.actions.conftest import Database
from tests.contract.actions.storing import add_store
from tests.contract.actions.worlds import Connections

pytestmark = pytest.mark.real
backup, restore = PostgresBackup(), PostgresRestore()


@pytest.fixture
def made(database: Database, tmp_path: Path) -> Connections:
    return add_store(connections(database.recorded), tmp_path)


def backing(**given: Any) -> Any:
    return backup.Params.model_validate({"connection": "db", "artifacts": "kept", **given})


def kept(made: Connections, **given: Any) -> Any:
    planned = backup.plan(backing(**given), made.reading())
    return backup.apply(planned, made.writing(), f"key-{given}").output["artifact"]


def restoring(artifact: Any, **given: Any) -> Any:
    whole = {"connection": "db", "table": "queue_jobs", "key": ["id"], "artifact": artifact}
    return restore.Params.model_validate({**whole, **given})


def by_hand(folder: Path, text: str) -> dict[str, Any]:
    (folder / "hand").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"connection": "kept", "name": "hand", "sha256": digest, "bytes": len(text)}


def test_a_restore_says_what_it_would_insert_update_and_delete(
    database: Database, made: Connections
) -> None:
    whole = database.state()
    artifact = kept(made, table="queue_jobs")
    database.run(
        "UPDATE queue_jobs SET notes = NULL, span = NULL WHERE id < 4",
        "DELETE FROM queue_jobs WHERE id > 8",
        "INSERT INTO queue_jobs (id, kind, state) VALUES (99, 'live', 'new')",
    )
    merged = restore.plan(restoring(artifact), made.reading())
    assert "2 inserted, 3 updated, 0 deleted" in merged.summary
    planned = restore.plan(restoring(artifact, mode="replace"), made.reading())
    assert "2 inserted, 3 updated, 1 deleted" in planned.summary
    assert planned.counts == {"rows": 6}
    receipt = restore.apply(planned, made.writing(), "key")
    assert receipt.output == {"deleted": 1, "updated": 3, "inserted": 2}
    assert database.state() == whole
    assert restore.plan(restoring(artifact, mode="replace"), made.reading()).is_no_op
    database.run("DELETE FROM queue_jobs WHERE id > 4")
    with pytest.raises(ActionFailed, match="over max_rows 5") as caught:
        restore.plan(restoring(artifact, max_rows=5), made.reading())
    assert caught.value.category is Category.DATA


def test_a_backup_of_some_columns_restores_these_alone(
    database: Database, made: Connections
) -> None:
    artifact = kept(made, sql="SELECT id, state FROM queue_jobs WHERE id <= 5")
    database.run("UPDATE queue_jobs SET state = 'lost', cost = 1")
    planned = restore.plan(restoring(artifact), made.reading())
    assert planned.counts == {"rows": 5}
    restore.apply(planned, made.writing(), "key")
    found = database.rows("SELECT count(*), max(cost) FROM queue_jobs WHERE state = 'ready'")
    assert found == [(5, 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line is not that of a backup"),
        ('{"id": 1}\n', "first line is not that of a backup"),
        ('{"stanch_backup": 9, "columns": ["id"]}\n', "form 9 is not known"),
        (
            '{"stanch_backup": 1, "columns": ["id", "nope"]}\n',
            "'nope' is none of public.queue_jobs",
        ),
        ('{"stanch_backup": 1, "columns": ["kind"]}\n', "lacks the key column 'id'"),
        (
            '{"stanch_backup": 1, "columns": ["id"]}\n{"id": "1"}\n{"id": "1"}\n',
            "two rows of the key",
        ),
        ('{"stanch_backup": 1, "columns": ["id"]}\n{"id": \n', "json"),
        ('{"stanch_backup": 1, "columns": ["id"]}\n{"id": "one"}\n', "bigint"),
        ('{"stanch_backup": 1, "columns": ["id"]}\n{"id": "77"}\n', "null value in column"),
    ],
)
def test_what_is_no_backup_of_this_table_is_refused(
    database: Database, made: Connections, tmp_path: Path, text: str, message: str
) -> None:
    before = database.state()
    with pytest.raises(ActionFailed, match=message) as caught:
        restore.plan(restoring(by_hand(tmp_path, text)), made.reading())
    assert caught.value.category is Category.DATA
    assert not caught.value.effect_possible
    assert database.state() == before


def test_a_backup_that_others_changed_is_refused(made: Connections, tmp_path: Path) -> None:
    artifact = kept(made, table="queue_jobs")
    path = tmp_path / artifact["name"]
    path.write_bytes(path.read_bytes().replace(b"ready", b"stale"))
    with pytest.raises(ActionFailed, match="SHA-256 differs") as caught:
        restore.plan(restoring(artifact), made.reading())
    assert caught.value.category is Category.DATA


def test_a_large_table_is_never_held_whole(
    database: Database, made: Connections, tmp_path: Path
) -> None:
    database.run(
        "CREATE TABLE wide (id int PRIMARY KEY, text text)",
        "INSERT INTO wide SELECT n, repeat('x', 2000) FROM generate_series(1, 8000) n",
    )
    # The recorder would keep what is sent; this goes straight to the server.
    made.settings = {**made.settings, "db": connections(database.direct).settings["db"]}
    made.secrets = connections(database.direct).secrets
    kept(made, table="queue_jobs")  # what is imported when first used is no part of it
    tracemalloc.start()
    artifact = kept(made, table="wide")
    _, written = tracemalloc.get_traced_memory()
    restore.plan(restoring(artifact, table="wide"), made.reading())
    _, read = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert artifact["bytes"] > 15 * 2**20
    assert max(written, read) < 8 * 2**20
    with (tmp_path / artifact["name"]).open() as file:
        assert json.loads(file.readline())["columns"] == ["id", "text"]
        assert json.loads(file.readline())["id"] == "1"


def test_sources_that_cannot_be_meant(made: Connections) -> None:
    for given in ({}, {"table": "a", "sql": "SELECT 1"}):
        with pytest.raises(ValidationError, match="table or sql"):
            backing(**given)
    for sql, message in (
        ("SELECT 1 AS a, 2 AS a", "two columns the name 'a'"),
        ("DELETE FROM queue_jobs", "only reads"),
        ("SELECT pg_terminate_backend(1)", "outside the transaction"),
    ):
        with pytest.raises(ActionFailed, match=message):
            backup.plan(backing(sql=sql), made.reading())
    with pytest.raises(ActionFailed, match="more than max_rows 9") as caught:
        backup.plan(backing(table="queue_jobs", max_rows=9), made.reading())
    assert caught.value.category is Category.DATA
