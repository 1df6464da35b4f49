"""Cost stays flat as history grows: every statement finds its rows by an index."""

from __future__ import annotations

import importlib
import sqlite3

import pytest

from engine.journal import decisions, runs
from engine.journal.sqlite import SQLITE
from engine.journal.statement import Statement
from tests.contract.store.conftest import Place

MODULES = (
    *("alerts", "blobs", "chains", "decisions", "episodes", "gates", "locks", "runs"),
    *("seals", "timers", "workers", "pages", "delegations", "calls", "artifacts", "websessions"),
)
# Read for people or for the whole journal, or over tables that stay small.
MAY_SCAN = {
    "blobs.TOKENS",
    "chains.HEADS",
    "gates.BRAKES",
    "gates.LIST",
    "delegations.LIST",  # the end of its key
    "locks.HELD",
    "locks.WAITING",
    "locks.ANYBODY_WAITS",  # one row
    "pages.LIST",  # the end of its key
    "runs.COUNTS",  # counts an index
    "runs.ENDS_WITH",  # a person types the end of an id
    "seals.LAST",  # the end of its key
    "workers.ALIVE",
    "workers.EXPIRED",
    "workers.FORGET",
    "workers.PRESENT",
}
ORDERED = {"UNDECIDED", "CLAIM", "DUE", "READ", "READ_SOME", "LIST_OPEN"}
STATEMENTS = {
    f"{module}.{name}": statement
    for module in MODULES
    for name, statement in vars(importlib.import_module(f"engine.journal.{module}")).items()
    if isinstance(statement, Statement)
} | {
    "runs.of an incident, at work": runs.listing(9, frozenset({"incident_id"})),
    "runs.of a playbook": runs.listing(None, frozenset({"playbook"})),
    "decisions.of an alert and a rule": decisions.listing(frozenset({"alert_id", "rule"})),
    "decisions.of a run": decisions.listing(frozenset({"run_id"})),
    "decisions.of an incident": decisions.listing(frozenset({"incident_id"})),
}


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_no_statement_reads_a_whole_table(sqlite: Place, name: str) -> None:
    compiled = STATEMENTS[name].compiled(SQLITE)
    assert sqlite.path is not None
    with sqlite3.connect(sqlite.path) as connection:
        rows = connection.execute(
            f"EXPLAIN QUERY PLAN {compiled.sql}", [None] * compiled.sql.count("?")
        ).fetchall()
    connection.close()
    scans = [row[3] for row in rows if row[3].startswith("SCAN") and "USING" not in row[3]]
    # What a select inside found, by an index or as a scan of its own above, is no table.
    inside = {f"SCAN {row[3].split()[1]}" for row in rows if row[3].startswith("CO-ROUTINE")}
    scans = [scan for scan in scans if scan not in inside]
    scans = [scan for scan in scans if "picked" not in scan and "due" not in scan]  # cut before
    scans = [scan for scan in scans if "VIRTUAL" not in scan]  # a list that was given
    if name in MAY_SCAN:
        return
    assert scans == []
    sorts = [row[3] for row in rows if "TEMP B-TREE" in row[3]]
    kind = name.partition(".")[2]
    if kind.startswith("of ") or kind in ORDERED:
        assert sorts == []


def test_a_claim_reads_the_ready_runs_in_their_order(sqlite: Place) -> None:
    compiled = STATEMENTS["runs.CLAIM"].compiled(SQLITE)
    assert sqlite.path is not None
    with sqlite3.connect(sqlite.path) as connection:
        plan = "\n".join(
            row[3]
            for row in connection.execute(
                f"EXPLAIN QUERY PLAN {compiled.sql}", [None] * compiled.sql.count("?")
            )
        )
    connection.close()
    assert "USING COVERING INDEX runs_ready" in plan or "USING INDEX runs_ready" in plan
    assert "TEMP B-TREE" not in plan
