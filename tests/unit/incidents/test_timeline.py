"""Every kind of journal entry as people read it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.entry import Entry
from engine.incidents.timeline import KINDS, describe

TARGET = {"connection": "cluster", "path": "starforge/Deployment/etl"}

LINES: list[tuple[str, dict[str, Any], str]] = [
    (
        "run.created",
        {"playbook": "etl/failure-spike", "rule": "etl", "mode": "approve", "priority": 7},
        "run of etl/failure-spike created by rule etl (mode approve, priority 7)",
    ),
    (
        "run.state",
        {"from": "queued", "to": "planning", "reason": "claimed"},
        "run went from queued to planning: claimed",
    ),
    (
        "run.planned",
        {"fingerprint": "0123456789abcdef", "changes": 3, "reads": 2},
        "plan made: 3 changes, 2 reads, fingerprint 0123456789ab",
    ),
    (
        "run.signal",
        {"signal": "cancel", "actor": "alice", "reason": "wrong namespace"},
        "alice cancelled the run: wrong namespace",
    ),
    ("run.ended", {"state": "succeeded", "reason": ""}, "run ended: succeeded"),
    ("step.started", {"address": "all"}, "all started"),
    (
        "step.skipped",
        {"address": "scale", "reason": "when is false"},
        "scale skipped: when is false",
    ),
    (
        "step.intent",
        {
            "address": "scale",
            "action": "kubernetes.scale",
            "effect": "change",
            "target": TARGET,
            "before": {"replicas": 3},
            "after": {"replicas": 5},
            "summary": "",
            "attempt": 1,
        },
        "scale will do: kubernetes.scale on cluster:starforge/Deployment/etl (replicas 3 → 5)",
    ),
    (
        "step.intent",
        {
            "address": "slower",
            "effect": "change",
            "before": {"a": 1, "b": 1, "c": 1, "d": 1},
            "after": {"a": 2, "b": 2, "c": 2, "d": 2},
            "summary": "limit the queue",
            "attempt": 2,
        },
        "slower will do: limit the queue (a 1 → 2, b 1 → 2, c 1 → 2 and 1 more) (attempt 2)",
    ),
    (
        "step.intent",
        {"address": "rate", "effect": "read", "action": "prometheus.query", "attempt": 1},
        "rate will read: prometheus.query",
    ),
    ("step.outcome", {"address": "scale", "state": "succeeded"}, "scale succeeded"),
    (
        "step.outcome",
        {"address": "scale", "state": "succeeded", "changed": False},
        "scale succeeded",
    ),
    (
        "step.outcome",
        {"address": "scale", "state": "failed", "category": "data", "message": "no such column"},
        "scale failed (data): no such column",
    ),
    (
        "step.retry",
        {"address": "a", "attempt": 2, "at": "T", "category": "transient", "reason": "502"},
        "a will be tried again at T (attempt 2, transient): 502",
    ),
    (
        "step.confirm",
        {"address": "a", "result": "applied", "reason": ""},
        "a: asked the target whether it happened: applied",
    ),
    (
        "step.verify",
        {"address": "a", "value": 0.25, "satisfied": False},
        "a: verification is not satisfied (the query gave 0.25)",
    ),
    (
        "wait.started",
        {"address": "a", "until": "T", "what": "15m"},
        "a waits for 15m, until T",
    ),
    (
        "wait.ended",
        {"address": "a", "satisfied": True, "reason": ""},
        "a got what it waited for",
    ),
    (
        "gate.opened",
        {"gate": "g1", "address": "plan", "role": "sre", "approvals": 2, "expires_at": "T"},
        "gate g1 opened at plan: 2 approvals by role sre, until T",
    ),
    (
        "gate.vote",
        {"gate": "g1", "actor": "bob", "via": "cli", "decision": "approve", "comment": "ok"},
        "bob (by cli) approved gate g1: ok",
    ),
    (
        "gate.closed",
        {"gate": "g1", "state": "approved", "reason": "quorum"},
        "gate g1 closed: approved: quorum",
    ),
    ("manual.opened", {"address": "m", "role": "sre"}, "m: a person is asked (role sre)"),
    (
        "manual.done",
        {"address": "m", "by": "bob", "note": "told them"},
        "m: done by bob: told them",
    ),
    (
        "drift.found",
        {"address": "a", "field": "replicas", "planned": 3, "live": 4},
        "a: the world drifted: replicas was planned as 3 and is 4",
    ),
    ("lock.taken", {"targets": [TARGET]}, "locked cluster:starforge/Deployment/etl"),
    ("lock.waiting", {"targets": ["x", "y"]}, "waits for a lock on x, y"),
    ("lock.waiting", {"reason": "run-1 holds it"}, "waits for a lock: run-1 holds it"),
    ("run.claimed", {"owner": "w-1", "epoch": 2}, "claimed by worker w-1"),
    ("run.signal", {"signal": "hold", "reason": "paused"}, "the run is held: paused"),
    ("run.signal", {"signal": "stuck"}, "the run is stuck and needs a person"),
    ("run.signal", {"signal": "odd", "actor": "bob"}, "signal odd"),
    ("step.applied", {"address": "scale"}, "scale: the target took the change"),
    ("undo.done", {"problems": []}, "undo finished"),
    ("undo.done", {"problems": ["a", "b"]}, "undo finished with problems: a, b"),
    (
        "step.verify",
        {"address": "a", "satisfied": True, "text": "0.001", "wanted": "< 0.01"},
        "a: verification is satisfied (0.001, wanted < 0.01)",
    ),
    (
        "budget.exceeded",
        {"unit": "pods", "reason": "3 missing"},
        "budget exceeded: 3 missing (pods)",
    ),
    (
        "undo.intent",
        {"address": "a", "summary": "back to 3"},
        "undo of a will be done: back to 3",
    ),
    ("undo.outcome", {"address": "a", "state": "undone"}, "undo of a: undone"),
    (
        "incident.opened",
        {"rule": "etl", "severity": "P1", "title": "ETL fails", "alert": "al-1"},
        "incident opened by rule etl (P1): ETL fails",
    ),
    (
        "incident.joined",
        {"alert": "al-2", "name": "ETLFails", "reason": "the episode is open"},
        "alert ETLFails joined: the episode is open",
    ),
    (
        "incident.state",
        {"from": "open", "to": "verified", "reason": "run r succeeded"},
        "incident went from open to verified: run r succeeded",
    ),
    ("incident.run", {"run": "run-1", "rule": "etl"}, "run run-1 started by rule etl"),
    (
        "incident.alert_resolved",
        {"alert": "al-1", "name": "ETLFails", "firing": 2},
        "alert ETLFails resolved, 2 still fire",
    ),
    (
        "incident.alert_resolved",
        {"alert": "al-1", "name": "ETLFails", "firing": 0},
        "alert ETLFails resolved, the last one",
    ),
    ("incident.note", {"text": "line one\nline two"}, "line one line two"),
    ("incident.note", {"text": "pool is full", "actor": "alice"}, "pool is full (alice)"),
    (
        "incident.severity",
        {"from": "P2", "to": "P0", "actor": "alice", "reason": "customers see it"},
        "severity went from P2 to P0 by alice: customers see it",
    ),
    (
        "incident.title",
        {"from": "a", "to": "ETL stands", "actor": "alice", "reason": ""},
        "title is now: ETL stands by alice",
    ),
    (
        "incident.role",
        {"role": "commander", "to": "bob", "from": "alice", "actor": "alice", "reason": "shift"},
        "commander handed over from alice to bob by alice: shift",
    ),
    (
        "incident.role",
        {"role": "commander", "to": "bob", "actor": "bob", "reason": ""},
        "commander is bob by bob",
    ),
    (
        "incident.artifact",
        {"name": "errors.csv", "bytes": 120, "actor": "alice"},
        "artifact errors.csv attached (120 bytes) by alice",
    ),
    (
        "incident.merged",
        {"source": "inc-1", "into": "inc-2", "actor": "alice", "reason": "same pool"},
        "inc-1 was merged into inc-2 by alice: same pool",
    ),
    (
        "call.opened",
        {"subject": "run r", "level": "critical", "chain": "default", "reason": "needs a person"},
        "people are called about run r (critical, chain default): needs a person",
    ),
    (
        "call.raised",
        {"subject": "run r", "level": "emergency", "reason": "data is lost"},
        "people are called louder about run r: emergency: data is lost",
    ),
    (
        "call.called",
        {"contacts": ["Primary (alice)"], "reason": "on call by file"},
        "called: Primary (alice) (on call by file)",
    ),
    (
        "call.sent",
        {"way": "mail", "contact": "alice", "event": "trigger", "message": "accepted"},
        "mail told alice (trigger): accepted",
    ),
    (
        "call.failed",
        {"way": "mail", "contact": "alice", "event": "trigger", "message": "no route"},
        "mail did not reach alice (trigger): no route",
    ),
    ("call.acknowledged", {"by": "alice", "via": "api"}, "alice acknowledged the call (api)"),
    ("call.resolved", {"reason": "the run is succeeded"}, "the call is over: the run is succeeded"),
    ("postmortem.due", {"at": "T"}, "the postmortem is due by T"),
    ("postmortem.reminded", {"reason": "24 h left"}, "reminded of the postmortem: 24 h left"),
    (
        "postmortem.published",
        {"by": "alice", "version": 2},
        "the postmortem is published by alice (version 2)",
    ),
    (
        "postmortem.written",
        {"by": "alice", "version": 2},
        "the postmortem was written by alice (version 2)",
    ),
    (
        "gate.escalated",
        {"gate": "gate-1", "role": "sre", "to": "lead"},
        "gate gate-1: sre did not decide in time; lead is asked",
    ),
    (
        "gate.items",
        {"actor": "bob", "gate": "gate-1", "rejected": {"each": {"b": "ours"}}},
        'bob chose among the items of gate gate-1, rejected: {"each":{"b":"ours"}}',
    ),
    (
        "gate.break_glass",
        {"actor": "lena", "via": "slack", "gate": "gate-1", "reason": "fire"},
        "BREAK-GLASS: lena (by slack) approved gate gate-1 alone: fire",
    ),
    (
        "incident.break_glass",
        {"actor": "lena", "via": "cli", "gate": "gate-1", "reason": "fire"},
        "BREAK-GLASS: lena (by cli) approved gate gate-1 alone: fire",
    ),
    (
        "items.done",
        {"step": "documents", "done": {"a": "done already: by run-1", "b": "under way elsewhere"}},
        "documents: 2 items are left to other runs",
    ),
    ("run.replanned", {"reason": "handed back"}, "the plan was made anew: handed back"),
    (
        "role.lent",
        {"from": "alice", "role": "sre", "to": "eve", "until": "noon", "reason": "leave"},
        "alice lent the role sre to eve until noon: leave",
    ),
    (
        "role.taken_back",
        {"from": "alice", "role": "sre", "to": "eve", "by": "alice"},
        "alice ended that eve holds the role sre of alice",
    ),
    (
        "page.told",
        {"level": "emergency", "reason": "run r needs a person", "told": 2},
        "paged (emergency): run r needs a person, told 2 times",
    ),
    ("page.seen", {"by": "alice", "note": "on it"}, "alice has seen the page: on it"),
    (
        "brake.set",
        {"name": "kill", "engaged": True, "by": "alice", "reason": "migration"},
        "brake kill engaged by alice: migration",
    ),
    (
        "delivery.problem",
        {"receiver": "stanch", "truncated": 3, "over_limit": 0},
        "a delivery for stanch was not whole: 3 alerts left out by the sender",
    ),
    (
        "schedule.fired",
        {"rule": "weekly", "at": "T", "missed": 2},
        "schedule of rule weekly fired for T (2 earlier ones were missed)",
    ),
    (
        "decisions.made",
        {"decisions": [{"rule": "", "verdict": "note", "reason": "not_matched: no rule matched"}]},
        "1 decision outside incidents: note (no rule): not_matched: no rule matched",
    ),
    ("server.started", {"node": "n1"}, "server started on node n1"),
    ("something.new", {"a": 1}, 'something.new {"a":1}'),
]


@pytest.mark.parametrize(("kind", "body", "line"), LINES, ids=lambda value: str(value)[:24])
def test_a_line(kind: str, body: dict[str, Any], line: str) -> None:
    assert describe(Entry(kind, body)) == line


def test_every_kind_is_shown_above() -> None:
    assert {kind for kind, _, _ in LINES} >= KINDS


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
FIELDS = sorted({field for _, body, _ in LINES for field in body})


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.dictionaries(st.sampled_from(FIELDS), VALUE, max_size=5),
)
def test_whatever_an_entry_holds_it_is_told_in_one_line(kind: str, body: dict[str, Any]) -> None:
    line = describe(Entry(kind, body))
    assert line
    assert "\n" not in line
    assert len(line) < 3000
