"""PostgreSQL's cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from actions.postgres import PostgresExecute, PostgresKind, PostgresQuery
from engine.contract import Category
from tests.contract.actions.cases import ChangeCase, Fault, ReadCase
from tests.contract.actions.conftest import Database
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


CHANGES = {
    "postgres.execute: update": update,
    "postgres.execute: delete": delete,
    "postgres.execute: insert": insert,
}
READS = {"postgres.query": query}
