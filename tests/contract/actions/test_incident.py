"""What the incident's actions leave behind: reports to the letter, runs without an incident, merged ones."""

from __future__ import annotations

from collections.abc import Iterator
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
from engine.contract import ActionFailed, Category, Notify
from engine.domain.clock import ManualClock
from engine.domain.incident import IncidentState
from engine.domain.people import Actor
from engine.incidents import handling
from engine.journal.database import Database, open_store
from engine.journal.keys import Keys
from engine.journal.rows import IncidentRow
from tests.contract.actions.cases_incident import connections, everything, open_incident
from tests.databases import put_database


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    made = open_store(
        f"sqlite:///{put_database(tmp_path / 'stanch.db')}", keys=Keys.generate(), clock=clock
    )
    open_incident(made, clock)
    yield made
    made.close()


def send(
    store: Database,
    clock: ManualClock,
    action: Notify[Any],
    key: str = "key-1",
    incident: str | None = "inc-1",
    **params: Any,
) -> Any:
    world = connections(store, clock, incident).writing()
    return action.send(action.Params.model_validate(params), world, key)


REPORT = """# Batch Processing Incident Report - 2026-01-01T01:30:00Z

## Summary
- **Incident ID**: inc-1
- **Start Time**: 2026-01-01T00:00:00Z
- **End Time**: still open
- **Affected Profiles**: document_extraction, invoice_processing
- **Batches Affected**: 12
- **SLA Status**: AT_RISK
- **Credits**: 25 %

## Root Cause
The provider's rate limit.
\\# not a heading
&lt;script>alert(1)&lt;/script>

## Recovery Actions
- paused submissions
- retried 40 items

## Customer Impact
_not told_

## Prevention Measures
- smaller batches
"""


def test_the_report_has_all_its_sections(store: Database, clock: ManualClock) -> None:
    clock.advance(5400)
    output = send(
        store,
        clock,
        ReportIncident(),
        affected_profiles=["document_extraction", "invoice_processing"],
        batches_affected=12,
        sla_status="AT_RISK",
        root_cause="The provider's rate limit.\n# not a heading\n<script>alert(1)</script>",
        recovery_actions=["paused submissions", "retried 40 items"],
        prevention=["smaller batches"],
        facts={"Credits": "25 %"},
    )
    assert output["artifact"]["name"] == "batch_incident_20260101_0130.md"
    content = store.read(lambda tx: tx.artifacts.content(output["artifact"]["id"]))
    assert content is not None
    assert content.decode() == REPORT
    # Asked again after a crash, later: the same report, not a second one.
    clock.advance(3600)
    assert send(store, clock, ReportIncident(), root_cause="something else") == output
    assert len(everything(store)[2]) == 1


def test_a_status_report_is_text_and_data(store: Database, clock: ManualClock) -> None:
    output = send(
        store,
        clock,
        ReportStatus(),
        state="identified",
        text="Processing is delayed.",
        affected=["invoices"],
        recovery_hours=6,
        rows=[{"batch": "b|1", "sla": "AT_RISK"}, {"batch": "b-2", "late": True}],
    )
    assert output["text"] == (
        "# Status: identified - 2026-01-01T00:00:00Z\n\n"
        "- **Incident**: inc-1\n- **Affected**: invoices\n- **Estimated recovery**: 6 h\n\n"
        "Processing is delayed.\n\n"
        "| batch | sla | late |\n|---|---|---|\n| b\\|1 | AT_RISK |  |\n| b-2 |  | True |\n"
    )
    assert output["data"]["incident_id"] == "inc-1"
    assert output["data"]["recovery_hours"] == 6


def test_without_an_incident_nothing_is_written_and_the_run_goes_on(
    store: Database, clock: ManualClock
) -> None:
    before = everything(store)
    acts: list[tuple[Notify[Any], dict[str, Any]]] = [
        (IncidentNote(), {"text": "hello"}),
        (IncidentUpdate(), {"severity": "P0", "reason": "why"}),
    ]
    for number, (action, params) in enumerate(acts):
        output = send(store, clock, action, f"key-{number}", None, **params)
        assert output == {
            "incident": None,
            "done": False,
            "reason": "run run-1 belongs to no incident; nothing was written",
        }
    assert everything(store) == before


def test_without_an_incident_files_and_calls_are_the_runs(
    store: Database, clock: ManualClock
) -> None:
    store.write(lambda tx: tx.runs.create(run_row(clock)))
    output = send(store, clock, IncidentArtifact(), "key-1", None, name="a.txt", text="x")
    assert output["incident"] is None
    (kept,) = store.read(lambda tx: tx.artifacts.of("run-1"))
    assert kept.name == "a.txt"
    call = send(store, clock, IncidentEscalate(), "key-2", None, reason="look")
    (page,) = store.read(lambda tx: tx.pages.list())
    assert (page.id, page.subject, page.run_id) == (call["page"], "escalation:run-1", "run-1")


def run_row(clock: ManualClock) -> Any:
    from engine.domain.run import RunMode, RunState
    from engine.journal.rows import RunRow

    return RunRow(
        *("run-1", "p", "d", None, None, RunState.QUEUED, RunMode.AUTO, 5, {}, {}, "alice"),
        *(clock.now(), None, 0, None, ""),
    )


def test_a_merged_incident_is_followed(store: Database, clock: ManualClock) -> None:
    other = IncidentRow("inc-2", "t", "etl", IncidentState.OPEN, "P2", clock.now(), None, {})
    store.write(lambda tx: tx.incidents.open(other))
    store.write(lambda tx: handling.merge(tx, "inc-1", "inc-2", "same", Actor("alice")))
    output = send(store, clock, IncidentNote(), text="hello")
    assert output["incident"] == "inc-2"


def test_a_state_that_it_cannot_have_now_is_a_mistake_in_what_was_given(
    store: Database, clock: ManualClock
) -> None:
    store.write(lambda tx: tx.incidents.update("inc-1", state=IncidentState.CLOSED))
    with pytest.raises(ActionFailed, match="is closed; reopen it first") as failed:
        send(store, clock, IncidentUpdate(), status="resolved", reason="over")
    assert failed.value.category is Category.DATA
    assert not failed.value.effect_possible


@pytest.mark.parametrize(
    ("action", "params", "words"),
    [
        (IncidentUpdate, {"reason": "why"}, "name at least one of"),
        (IncidentUpdate, {"status": "verified", "reason": "why"}, "status"),
        (IncidentUpdate, {"severity": "P0"}, "reason"),
        (IncidentArtifact, {"name": "a"}, "give one of text, data and artifact"),
        (IncidentArtifact, {"name": "a", "text": "x", "data": 1}, "give one of"),
        (IncidentArtifact, {"name": "a/b", "text": "x"}, "name"),
        (ReportIncident, {"name": "../x.md"}, "name"),
        (ReportStatus, {"state": "fine", "text": "x"}, "state"),
        (IncidentEscalate, {"level": "loud", "reason": "x"}, "level"),
    ],
)
def test_bad_parameters(action: Any, params: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        action.Params.model_validate(params)
