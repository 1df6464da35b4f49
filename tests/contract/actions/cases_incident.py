"""The incident's cases: over a real journal, which is what a run's actions speak to."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from actions.incident import (
    IncidentArtifact,
    IncidentEscalate,
    IncidentNote,
    IncidentUpdate,
    ReportIncident,
    ReportStatus,
)
from engine.contract import Category, Notify
from engine.contract.ports import Ports
from engine.domain.clock import ManualClock
from engine.domain.incident import IncidentState
from engine.incidents.acting import RunIncident
from engine.incidents.artifacts import ArtifactLimits
from engine.journal.database import Database, open_store
from engine.journal.keys import Keys
from engine.journal.rows import IncidentRow
from tests.contract.actions.cases import Builder, Fault, NotifyCase
from tests.contract.actions.worlds import Connections
from tests.databases import put_database

LIMITS = ArtifactLimits(each=2000, total=4000)


def open_incident(store: Database, clock: ManualClock) -> None:
    row = IncidentRow(
        *("inc-1", "ETL fails", "etl", IncidentState.OPEN, "P1", clock.now(), None),
        {"labels": {"namespace": "etl"}},
    )
    store.write(lambda tx: tx.incidents.open(row))


def connections(store: Database, clock: ManualClock, incident: str | None) -> Connections:
    port = RunIncident(store, "run-1", incident, limits=LIMITS)
    return Connections({}, clock=clock, ports=Ports(incident=port))


def everything(store: Database) -> Any:
    """The incident, its chain, its files with their bytes, and the pages."""

    def look(tx: Any) -> Any:
        files = [(one, tx.artifacts.content(one.id)) for one in tx.artifacts.of("inc-1")]
        chain = [(one.kind, one.body) for one in tx.journal.read("inc-1")]
        return tx.incidents.get("inc-1"), chain, files, tx.pages.list(open_only=False)

    return store.read(look)


def _acts(folder: Path) -> int:
    """How many steps have acted: doing again what is so already leaves no other trace."""
    with contextlib.closing(sqlite3.connect(folder / "stanch.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM step_acts").fetchone()[0])


def case_of(action: Notify[Any], bad: dict[str, Any] | None = None, **params: Any) -> Builder:
    """A case; `bad` are parameters that the incident does not take."""

    def build(request: pytest.FixtureRequest) -> NotifyCase:
        folder: Path = request.getfixturevalue("tmp_path")
        clock = ManualClock()
        store = open_store(
            f"sqlite:///{put_database(folder / 'stanch.db')}", keys=Keys.generate(), clock=clock
        )
        request.addfinalizer(store.close)
        open_incident(store, clock)
        faults = {"no incidents": Fault(Category.CONFIGURATION, Connections({}), params)}
        if bad is not None:
            here = connections(store, clock, "inc-1")
            faults["not taken"] = Fault(Category.DATA, here, {**params, **bad})
        return NotifyCase(
            connections(store, clock, "inc-1"),
            params,
            lambda: (everything(store), _acts(folder)),
            list,
            faults,
            action=action,
        )

    return build


NOTIFIES = {
    "incident.update": case_of(
        IncidentUpdate(),
        severity="P0",
        status="mitigated",
        title="ETL stands",
        reason="customers see it",
    ),
    "incident.note": case_of(IncidentNote(), {"text": "  "}, text="12 snapshots failed"),
    "incident.artifact": case_of(
        IncidentArtifact(), {"text": "x" * 2001}, name="errors.csv", text="id\n1\n"
    ),
    "incident.artifact: data": case_of(
        IncidentArtifact(), {"content_type": "video/mp4"}, name="rows.json", data=[{"id": 1}]
    ),
    "incident.artifact: elsewhere": case_of(
        IncidentArtifact(),
        name="dump.jsonl",
        artifact={"connection": "files", "name": "a/b.jsonl", "sha256": "0" * 64, "bytes": 7},
    ),
    "incident.escalate": case_of(
        IncidentEscalate(), {"chain": "loud"}, level="emergency", reason="data is lost"
    ),
    "report.incident": case_of(
        ReportIncident(),
        {"root_cause": "x" * 2001},
        affected_profiles=["invoices"],
        batches_affected=12,
        root_cause="rate limit",
    ),
    "report.status": case_of(
        ReportStatus(),
        {"text": "x" * 2001},
        state="identified",
        text="Processing is delayed.",
        rows=[{"batch": "b-1", "sla": "AT_RISK"}],
    ),
}
