"""The rights that each PostgreSQL action names are enough, and none of them is one too many: real roles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from actions.postgres.granting import statements
from engine.contract import ActionFailed, Category, Grant
from tests.contract.actions.cases import changes, reads
from tests.contract.actions.conftest import Database
from tests.contract.actions.granted import carried_out
from tests.contract.actions.worlds import Connections

pytestmark = pytest.mark.real
CASES = {
    label: build for label, build in (changes() | reads()).items() if label.startswith("postgres.")
}


@contextmanager
def robot(
    request: pytest.FixtureRequest, label: str, without: Grant | None, *, bare: bool = False
) -> Iterator[tuple[Any, Connections]]:
    """The case in a database made anew for it, and its connections as a role that holds the rights it names.

    Args:
        without: but for this one. bare: none at all.
    """
    database: Database = request.getfixturevalue("database")
    database.refill()
    case = CASES[label](request)
    grants = [] if bare else [one for one in named(case) if one != without]
    case.connections.close()  # its own way, by which builders fill the database
    database.run("CREATE ROLE robot LOGIN PASSWORD 'x'", *statements(grants, "robot", "stanch"))
    name = case.params["connection"]
    kind, settings = case.connections.settings[name]
    given = {**case.connections.settings, name: (kind, {**settings, "dsn": {"env": "ROBOT"}})}
    address = database.direct.replace("postgres@", "robot:x@")
    secrets = {**case.connections.secrets, "ROBOT": address}
    made = Connections(given, secrets, ports=case.connections.ports)
    try:
        yield case, made
    finally:
        made.close()
        database.run("DROP OWNED BY robot", "DROP ROLE robot")


def named(case: Any) -> list[Grant]:
    grants = case.action.grants(case.action.Params.model_validate(case.params))
    return [one for one in grants if one.kind == "sql"]


@pytest.mark.parametrize("label", CASES)
def test_the_named_rights_are_enough_and_each_is_needed(
    request: pytest.FixtureRequest, label: str
) -> None:
    with robot(request, label, None) as (case, connections):
        carried_out(case, connections)
        grants = named(case)
    assert grants
    assert all(grants.count(one) == 1 for one in grants)
    if label == "postgres.health":
        with robot(request, label, None, bare=True) as (case, connections):
            seen = case.action.read(case.action.Params(connection="db"), connections.reading())
        assert seen["connections"]["by_state"]["hidden"] > 0  # it goes on, and says what it lacks
        return
    for without in grants:
        with robot(request, label, without) as (case, connections):
            with pytest.raises(ActionFailed) as caught:
                carried_out(case, connections)
            assert caught.value.category is Category.CONFIGURATION, without
            said = str(caught.value)
            assert "stanch grants" in said or "GRANT SELECT" in said
