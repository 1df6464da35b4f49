"""PostgreSQL's cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from actions.postgres import (
    CleanHistory,
    ExecuteBatches,
    PostgresBackup,
    PostgresExecute,
    PostgresHealth,
    PostgresKind,
    PostgresQuery,
    PostgresRestore,
    QueueHealth,
    ReleaseOrphans,
    ResetFailed,
)
from engine.contract import Category
from tests.contract.actions.cases import ChangeCase, Fault, ReadCase
from tests.contract.actions.conftest import Database
from tests.contract.actions.storing import overwrite, with_store
from tests.contract.actions.worlds import Connections
from worlds.servers.process import free_port

PASSWORD = "p@ss w/rd+=%"


def connections(address: str, **settings: Any) -> Connections:
    """A connection named `db` whose DSN is a secret with a password in it."""
    from psycopg.conninfo import make_conninfo

    raw: Mapping[str, Any] = {
        "dsn": {"env": "DSN"},
        "allow": {"schemas": ["public"], "functions": []},
        **settings,
    }
    secrets = {"DSN": make_conninfo(address, password=PASSWORD)}
    return Connections({"db": (PostgresKind(), raw)}, secrets)


def _faults(database: Database, params: Mapping[str, Any], missing: str) -> dict[str, Fault]:
    base = "host=127.0.0.1 sslmode=disable connect_timeout=2"
    good = connections(database.direct)
    return {
        "unreachable": Fault(
            Category.TRANSIENT, connections(f"{base} port={free_port()} dbname=x"), params
        ),
        "credentials": Fault(
            Category.CONFIGURATION,
            connections(database.direct.replace("postgres@", "nobody@")),
            params,
        ),
        "no secret": Fault(
            Category.CONFIGURATION, connections(database.direct, dsn={"env": "UNSET"}), params
        ),
        "missing": Fault(Category.PERMANENT, good, {**params, "sql": missing, "params": {}}),
    }


def _change(request: pytest.FixtureRequest, meddle: str, conflict: str, **given: Any) -> ChangeCase:
    database: Database = request.getfixturevalue("database")
    params: dict[str, Any] = {"connection": "db", "key": ["id"], **given}
    case = ChangeCase(
        connections(database.recorded),
        params,
        database.state,
        database.recorder.commits,
        _faults(database, params, "DELETE FROM no_such_table"),
        [PASSWORD],
        action=PostgresExecute(),
    )
    case.meddle, case.conflict = lambda: database.run(meddle), conflict
    return case


def update(request: pytest.FixtureRequest) -> ChangeCase:
    return _change(
        request,
        sql="UPDATE queue_jobs SET state = 'paused', cost = cost * 2, notes = NULL "
        "WHERE kind = %(kind)s -- paused by hand",
        params={"kind": "backfill"},
        meddle="UPDATE queue_jobs SET cost = 0 WHERE id = 4",
        conflict="public.queue_jobs row id=4, column cost",
    )


def delete(request: pytest.FixtureRequest) -> ChangeCase:
    return _change(
        request,
        sql="DELETE FROM queue_jobs WHERE id > %(id)s;",
        params={"id": 6},
        meddle="INSERT INTO queue_jobs (id, kind, state) VALUES (8, 'live', 'new')",
        conflict="row id=8 is there again",
    )


def insert(request: pytest.FixtureRequest) -> ChangeCase:
    return _change(
        request,
        sql="INSERT INTO queue_jobs (id, kind, state, extra) SELECT n, 'live', 'new', %(x)s "
        "FROM generate_series(100, 102) AS n",
        params={"x": {"why": "test"}},
        meddle="UPDATE queue_jobs SET state = 'taken' WHERE id = 101",
        conflict="row id=101, column state",
    )


def query(request: pytest.FixtureRequest) -> ReadCase:
    database: Database = request.getfixturevalue("database")
    params = {
        "connection": "db",
        "sql": "SELECT id, cost, extra, raw, at, span, mood::text, tags, ratio FROM queue_jobs "
        "WHERE id = ANY(%(ids)s) ORDER BY id",
        "params": {"ids": [1, 10]},
    }

    def check(output: Any) -> None:
        assert output["count"] == 2
        assert (
            output["row"]
            == output["rows"][0]
            == {
                "id": 1,
                "cost": 1.1,
                "extra": {"b": 1},
                "raw": "AP9c",
                "at": "2026-11-23T01:15:00.123456Z",
                "span": 93780.0,
                "mood": "busy",
                "tags": ["x", None, 'y"z'],
                "ratio": "nan",
            }
        )

    return ReadCase(
        connections(database.recorded),
        params,
        database.state,
        database.recorder.commits,
        _faults(database, params, "SELECT 1 FROM no_such_table"),
        [PASSWORD],
        action=PostgresQuery(),
        check=check,
    )


def _recipe(action: Any, meddle: str, conflict: str, **params: Any) -> Any:
    """A building block over the queue, in whose faults the table is another."""

    def build(request: pytest.FixtureRequest) -> ChangeCase:
        database: Database = request.getfixturevalue("database")
        database.run("UPDATE queue_jobs SET at = now() - interval '1 day'")  # whatever the date
        case = _change(request, meddle, conflict, table="queue_jobs", **params)
        for name, fault in case.faults.items():
            kept = {key: value for key, value in fault.params.items() if key != "sql"}
            kept = {key: value for key, value in kept.items() if key != "params" or "set" in kept}
            if "params" in kept:
                kept["params"] = params["params"]
            fault.params = {**kept, "table": "no_such_table"} if name == "missing" else kept
        case.action = action
        if not meddle:
            case.meddle = None  # irreversible: nothing is kept
        return case

    return build


def _look(action: Any, check: Any, **params: Any) -> Any:
    def build(request: pytest.FixtureRequest) -> ReadCase:
        database: Database = request.getfixturevalue("database")
        whole = {"connection": "db", **params}
        faults = _faults(database, whole, "")
        if "table" in whole:
            missing = {**whole, "table": "no_such_table"}
            faults["missing"] = Fault(Category.PERMANENT, faults["missing"].connections, missing)
        else:
            del faults["missing"]  # the server's own statistics are always there
        return ReadCase(
            connections(database.recorded),
            whole,
            database.state,
            database.recorder.commits,
            faults,
            [PASSWORD],
            action=action,
            check=check,
        )

    return build


def _server_is_well(output: Any) -> None:
    assert 0 <= output["latency"] < 5
    assert 0 < output["connections"]["used"] <= output["connections"]["limit"]
    assert output["connections"]["by_state"]["active"] >= 1
    assert (output["blocked"], output["recovery"]) == ([], False)


def _queue(output: Any) -> None:
    assert output["states"]["ready"]["rows"] == output["pending"] == output["total"] == 5
    assert output["oldest_pending"] == output["states"]["ready"]["oldest"]
    assert (output["processing"], output["stuck"], output["failed_share"]) == (0, 0, 0.0)


def _backup(**given: Any) -> Any:
    def build(request: pytest.FixtureRequest) -> ChangeCase:
        case = _change(request, "", "kept/jobs, sha256", key=[], sql="")
        case.action = PostgresBackup()
        fixed = {"connection": "db", "artifacts": "kept", "name": "kept/jobs"}
        case.params = {**fixed, **given}
        for name, fault in case.faults.items():
            fault.params = {**fixed, "table": "no_such_table"} if name == "missing" else case.params
        folder = with_store(request, case)
        case.meddle = lambda: overwrite(folder / "kept/jobs")
        return case

    return build


def _restore(mode: str) -> Any:
    def build(request: pytest.FixtureRequest) -> ChangeCase:
        database: Database = request.getfixturevalue("database")
        meddle = "UPDATE queue_jobs SET cost = 7 WHERE id = 4"
        case = _change(request, meddle, "public.queue_jobs row id=4, column cost")
        with_store(request, case)
        backup = PostgresBackup()
        asked = backup.Params.model_validate(
            {"connection": "db", "artifacts": "kept", "table": "queue_jobs"}
        )
        planned = backup.plan(asked, case.connections.reading())
        kept = backup.apply(planned, case.connections.writing(), "backup")
        database.run(
            "UPDATE queue_jobs SET cost = 0, raw = NULL, fixed = 'other' WHERE id = 4",
            "DELETE FROM queue_jobs WHERE id IN (8, 9)",
            "INSERT INTO queue_jobs (id, kind, state) VALUES (99, 'live', 'new')",
        )
        fixed = {"connection": "db", "table": "public.queue_jobs", "key": ["id"], "mode": mode}
        case.params = {**fixed, "artifact": kept.output["artifact"]}
        for name, fault in case.faults.items():
            missing = {"table": "no_such_table"} if name == "missing" else {}
            fault.params = {**case.params, **missing}
        case.action = PostgresRestore()
        return case

    return build


CHANGES = {
    "postgres.execute: update": update,
    "postgres.execute: delete": delete,
    "postgres.execute: insert": insert,
    "postgres.release_orphans": _recipe(
        ReleaseOrphans(),
        "UPDATE queue_jobs SET state = 'taken' WHERE id = 4",
        "public.queue_jobs row id=4, column state",
        state_column="state",
        time_column="at",
        processing="ready",
        older_than=0.001,
        clear=["span"],
        only={"kind": "backfill", "mood": "busy"},
    ),
    "postgres.reset_failed": _recipe(
        ResetFailed(),
        "UPDATE queue_jobs SET state = 'taken' WHERE id = 2",
        "public.queue_jobs row id=2, column state",
        state_column="state",
        failed="ready",
        attempts_column="cost",
        below=100,
        limit=3,
    ),
    "postgres.clean_history": _recipe(
        CleanHistory(),
        "INSERT INTO queue_jobs (id, kind, state) VALUES (8, 'live', 'new')",
        "row id=8 is there again",
        time_column="at",
        older_than=0.001,
        batch=4,
    ),
    "postgres.backup: a table": _backup(table="queue_jobs"),
    "postgres.backup: a query": _backup(
        sql='SELECT id, kind AS "the kind" FROM queue_jobs WHERE id < %(id)s -- few',
        params={"id": 5},
    ),
    "postgres.restore: merge": _restore("merge"),
    "postgres.restore: replace": _restore("replace"),
    "postgres.execute_batches: update": _recipe(
        ExecuteBatches(),
        "UPDATE queue_jobs SET cost = 0 WHERE id = 4",
        "public.queue_jobs row id=4, column cost",
        set="state = %(to)s, cost = cost * 2 -- doubled",
        where="id > %(above)s -- all but one",
        params={"to": "paused", "above": 1},
        only={"kind": "backfill"},
        batch=2,
    ),
    "postgres.execute_batches: delete": _recipe(
        ExecuteBatches(),
        "INSERT INTO queue_jobs (id, kind, state) VALUES (8, 'live', 'new')",
        "row id=8 is there again",
        where="kind = 'backfill'",
        batch=3,
    ),
    "postgres.clean_history: nothing kept": _recipe(
        CleanHistory(), "", "", time_column="at", older_than=0.001, batch=5, keep=False
    ),
}
READS = {
    "postgres.query": query,
    "postgres.health": _look(PostgresHealth(), _server_is_well),
    "postgres.queue_health": _look(
        QueueHealth(),
        _queue,
        table="public.queue_jobs",
        state_column="state",
        time_column="at",
        pending=["ready", "new"],
        only={"kind": "live"},
    ),
}
