"""What people see of alerts, decisions and incidents."""

from __future__ import annotations

import json

import pytest

from engine.domain.alert import UnreadableAlert
from engine.domain.errors import NotFound, Refused
from engine.domain.incident import IncidentState
from engine.domain.people import Actor
from engine.domain.run import RunState
from engine.incidents import lifecycle, views
from engine.journal.rows import Page
from tests.unit.incidents.conftest import MakeKit
from tests.unit.incidents.kit import ALL, START, ago, firing, resolved, rule

ALICE = Actor("alice", frozenset({"sre"}))


def test_an_alert_shows_what_was_decided_and_why(make: MakeKit) -> None:
    kit = make(rule(), max_alert_age=60.0)
    (old,) = kit.post(firing(at=ago(7200), notes={"summary": "s"}))
    shown = kit.store.read(lambda tx: views.alert(tx, old))
    json.dumps(shown)
    assert (shown["name"], shown["resolved"], shown["deliveries"]) == ("Down", False, 1)
    (decision,) = shown["decisions"]
    assert (decision["verdict"], decision["code"]) == ("ask", "too_old")
    assert decision["reason"].endswith(f"stanch run --alert {old}")
    assert decision["incident"] == kit.incident().id

    kit.post(resolved(firing(at=ago(7200))))
    listed = kit.store.read(lambda tx: views.alerts(tx, ALL))
    assert [one["resolved"] for one in listed] == [True, True]
    some = kit.store.read(lambda tx: views.alerts(tx, Page(limit=1), labels={"ns": "a"}))
    assert len(some) == 1
    with pytest.raises(NotFound, match="there is no alert x"):
        kit.store.read(lambda tx: views.alert(tx, "x"))


def test_an_incident_shows_alerts_runs_timeline_and_what_is_missing(make: MakeKit) -> None:
    kit = make(rule())
    bad = UnreadableAlert("status is missing", {"labels": {}})
    kit.post(firing(pod="1"), group_key="g", truncated=3, unreadable=(bad,))
    kit.clock.advance(1)
    kit.post(firing(pod="2"), group_key="g", truncated=5, over_limit=1)
    kit.post(firing("Other"), group_key="another", truncated=99)
    kit.end(kit.runs()[0].id, verified=True)
    kit.post(resolved(firing(pod="1")))
    incident_id = kit.incident().id

    shown = kit.store.read(lambda tx: views.incident(tx, incident_id))
    json.dumps(shown)
    assert shown["missing"] == {"truncated": 5, "over_limit": 1, "unreadable": 1}
    assert [one["resolved"] for one in shown["alerts"]] == [True, False]
    assert [run["state"] for run in shown["runs"]] == ["succeeded"]
    texts = [line["text"] for line in shown["timeline"]]
    assert texts == [
        "incident opened by rule down (P2): Down (ns=a)",
        f"run {shown['runs'][0]['id']} started by rule down",
        "run of ops/repair created (mode ?, priority ?)",
        f"alert Down joined: the episode is open and run {shown['runs'][0]['id']} is at work",
        (
            f"incident went from open to verified: run {shown['runs'][0]['id']} succeeded; "
            "its verification query was satisfied"
        ),
        "alert Down resolved, 1 still fire",
    ]
    with pytest.raises(NotFound):
        kit.store.read(lambda tx: views.incident(tx, "x"))
    listed = kit.store.read(lambda tx: views.incidents(tx, ALL, open_only=True))
    assert [one["id"] for one in listed] == [incident_id]
    assert len(kit.store.read(lambda tx: views.deliveries(tx, ALL))) == 3
    assert len(kit.store.read(lambda tx: views.decisions(tx, ALL, rule="down"))) == 3


def test_people_acknowledge_and_close(make: MakeKit) -> None:
    kit = make(rule())
    kit.post(firing())
    incident_id = kit.incident().id

    def acknowledge() -> IncidentState:
        return kit.store.write(lambda tx: lifecycle.acknowledge(tx, incident_id, ALICE)).state

    assert acknowledge() is IncidentState.ACKNOWLEDGED
    assert acknowledge() is IncidentState.ACKNOWLEDGED, "twice is once"
    with pytest.raises(Refused, match=r"run run-\w+ of incident .* is queued; cancel it"):
        kit.store.write(lambda tx: lifecycle.close(tx, incident_id, ALICE))
    kit.end(kit.runs()[0].id, RunState.FAILED)
    closed = kit.store.write(lambda tx: lifecycle.close(tx, incident_id, ALICE, "known"))
    assert closed.state is IncidentState.CLOSED
    assert kit.body(incident_id, "incident.state")[-1]["reason"] == "closed by alice: known"
    with pytest.raises(Refused, match="only an open one"):
        acknowledge()
    with pytest.raises(NotFound):
        kit.store.write(lambda tx: lifecycle.acknowledge(tx, "x", ALICE))
    # What comes after a person closed it starts afresh, although the old alert never resolved.
    kit.post(firing(at=START.replace(hour=4)))
    assert len(kit.incidents()) == len(kit.runs()) == 2
