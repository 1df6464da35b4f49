"""The rights that each PostgreSQL action names are enough, and none of them is one too many: real roles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from actions.postgres.granting import statements
from engine.contract import ActionFailed, Category, Grant
from tests.contract.actions.cases import changes, reads
from tests.contract.actions.conftest import Database
from tests.contract.actions.granted import carried_out
from tests.contract.actions.worlds import Connections
from worlds.servers import PostgresServer

pytestmark = pytest.mark.real
CASES = {
    label: build for label, build in (changes() | reads()).items() if label.startswith("postgres.")
}
_NUMBERS = itertools.count(1)


@contextmanager
def robot(
    server: PostgresServer, database: Database, case: Any, grants: Sequence[Grant]
) -> Iterator[Connections]:
    """A copy of the database, and the case's connections as a role that holds these rights there."""
    import psycopg

    number = next(_NUMBERS)
    user, copy = f"robot_{number}", f"copy_{number}"
    source = database.direct.rsplit("/", 1)[1]
    case.connections.close()  # a database in use is not copied
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'x'".encode())
        admin.execute(f"CREATE DATABASE {copy} TEMPLATE {source} STRATEGY wal_log".encode())
        with psycopg.connect(server.dsn_of(copy), autocommit=True) as inside:
            for statement in statements(grants, user, "stanch"):
                inside.execute(statement.encode())
        address = server.dsn_of(copy, user=user, password="x")
        name = case.params["connection"]
        kind, settings = case.connections.settings[name]
        given = {**case.connections.settings, name: (kind, {**settings, "dsn": {"env": "ROBOT"}})}
        secrets = {**case.connections.secrets, "ROBOT": address}
        made = Connections(given, secrets, ports=case.connections.ports)
        try:
            yield made
        finally:
            made.close()
            admin.execute(f"DROP DATABASE {copy} WITH (FORCE)".encode())
            admin.execute(f"DROP ROLE {user}".encode())


@pytest.mark.parametrize("label", CASES)
def test_the_named_rights_are_enough_and_each_is_needed(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, label: str
) -> None:
    database: Database = request.getfixturevalue("database")
    case = CASES[label](request)
    named = case.action.grants(case.action.Params.model_validate(case.params))
    grants = [one for one in named if one.kind == "sql"]
    assert grants
    assert all(grants.count(one) == 1 for one in grants)
    with robot(postgres_server, database, case, grants) as connections:
        carried_out(case, connections)
    if label == "postgres.health":
        with robot(postgres_server, database, case, []) as connections:
            seen = case.action.read(case.action.Params(connection="db"), connections.reading())
        assert seen["connections"]["by_state"]["hidden"] > 0  # it goes on, and says what it lacks
        return
    for without in grants:
        others = [one for one in grants if one != without]
        with robot(postgres_server, database, case, others) as connections:
            with pytest.raises(ActionFailed) as caught:
                carried_out(case, connections)
            assert caught.value.category is Category.CONFIGURATION, without
            said = str(caught.value)
            assert "stanch grants" in said or "GRANT SELECT" in said
