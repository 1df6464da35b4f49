"""One incident with everything that a postmortem tells, written into a journal on a moved clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.domain.clock import ManualClock
from engine.domain.entry import Entry
from engine.domain.incident import IncidentState
from engine.domain.people import Actor
from engine.domain.run import RunMode, RunState
from engine.incidents import artifacts, handling, lifecycle
from engine.incidents.calling import Calling
from engine.incidents.postmortem import due
from engine.incidents.postmortem.book import Book, Request
from engine.incidents.postmortem.writing import Printer
from engine.journal.rows import IncidentRow, RunRow
from engine.journal.store import Store, Tx
from tests.unit.incidents.kit import START, delivery, firing, fresh_database, open_sqlite

ALICE = Actor("alice", frozenset({"operator"}), via="slack")
BOB = Actor("bob", frozenset({"operator"}), via="api")
INCIDENT = "inc-0000000000000001"
RUN = "run-0000000000000001"
SECRET = "hunter2-very-secret"


def run_row(now: Any, **changes: Any) -> RunRow:
    base: dict[str, Any] = {
        "id": RUN,
        "playbook": "etl/failure-spike",
        "program": "d1",
        "rule": "etl-failure-spike",
        "incident_id": INCIDENT,
        "state": RunState.QUEUED,
        "mode": RunMode.APPROVE,
        "priority": 7,
        "inputs": {"namespace": "starforge"},
        "trigger": {"kind": "alert", "labels": {}},
        "requester": "stanch",
        "created_at": now,
        "ended_at": None,
        "epoch": 0,
        "owner": None,
        "reason": "",
    }
    return RunRow(**{**base, **changes})


@dataclass
class Story:
    """The journal, its clock, and the book over it."""

    folder: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    templates: Path | None = None
    masked: frozenset[str] = frozenset()
    series: Any = None
    decided: list[tuple[dict[str, str], str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store: Store = open_sqlite(fresh_database(self.folder), clock=self.clock)
        self.caller = Calling()
        self.book = Book(
            self.store,
            Printer(self.templates),
            _hide,
            self.series,
            self.masked,
            self._decide,
        )

    def _decide(self, fields: Mapping[str, str], key: str) -> str:
        self.decided.append((dict(fields), key))
        return "ok"

    def make(self, actor: Actor = ALICE, **wanted: Any) -> dict[str, Any]:
        return self.book.make(INCIDENT, actor, Request(**wanted))

    def write(self, work: Any, *given: Any) -> Any:
        return self.store.write(lambda tx: work(tx, *given))

    def note(self, kind: str, chain: str = RUN, **body: Any) -> None:
        self.store.write(lambda tx: tx.journal.append(chain, [Entry(kind, body)]))

    def after(self, seconds: float) -> None:
        self.clock.advance(seconds)

    # ------------------------------------------------------------ the story

    def open(self) -> None:
        def work(tx: Tx) -> None:
            alert = firing("ETLFailureSpike", at=START, notes={"summary": "failures at 12 %"})
            (alert_id, _), *_ = tx.alerts.accept(delivery(alert, truncated=3))
            row = IncidentRow(
                INCIDENT,
                "ETL fails <script>alert(1)</script>",
                "etl-failure-spike",
                IncidentState.OPEN,
                "P1",
                tx.now(),
                None,
                {"key": {}, "labels": dict(alert.labels)},
            )
            tx.incidents.open(row)
            tx.incidents.add_alert(INCIDENT, alert_id)
            tx.journal.append(
                INCIDENT,
                [
                    Entry(
                        "incident.opened",
                        {"rule": row.rule, "severity": "P1", "title": row.title, "alert": alert_id},
                    )
                ],
            )
            tx.runs.create(run_row(tx.now()))
            due.wants(tx, INCIDENT, 72 * 3600.0)

        self.after(45)
        self.store.write(work)

    def live(self) -> None:
        """Acknowledged, classified, approved, repaired, half undone, verified, resolved."""
        self.open()
        self.note("incident.run", INCIDENT, run=RUN, rule="etl-failure-spike")
        self.after(75)
        self.write(lifecycle.acknowledge, INCIDENT, ALICE, "looking")
        self.write(handling.assign, INCIDENT, "commander", "alice", ALICE)
        output = {"class": "oom", "category": "resource", "line": "Killed | exit 137 `x`"}
        self.note("step.intent", address="class", action="classify.text", effect="read", attempt=1)
        self.note("step.outcome", address="class", state="succeeded", output=output, attempt=1)
        self.note("gate.opened", gate="gate-1", address="plan", role="sre", approvals=2)
        self.after(120)
        for actor in ("alice", "bob"):
            self.note("gate.vote", gate="gate-1", actor=actor, decision="approve", comment="ok")
        self.note("gate.closed", gate="gate-1", state="approved", reason="quorum")
        self.change("memory", {"memory": "1Gi"}, {"memory": "2Gi", "token": SECRET})
        self.note("step.outcome", address="memory", state="succeeded", attempt=1, output=None)
        self.after(60)
        self.change("batch", {"size": 5000}, {"size": 500}, connection="starforge")
        failed = {"state": "failed", "category": "transient", "message": "connection reset"}
        self.note("step.outcome", address="batch", attempt=1, output=None, **failed)
        self.note("undo.intent", address="memory", summary="restore the memory")
        self.note("undo.outcome", address="memory", state="undone", message="")
        self.note(
            "gate.vote", gate="gate-2", actor="dave", decision="break_glass", comment="payroll runs"
        )
        told = {"action": "slack.message", "effect": "notify", "summary": "Post a message"}
        self.note("step.intent", address="tell", attempt=1, **told)
        self.note("step.outcome", address="tell", state="succeeded", attempt=1, output=None)
        for value in (12.0, 6.5, 0.4):
            self.after(60)
            self.note(
                "step.verify",
                address="memory",
                value=value,
                satisfied=value < 1,
                wanted="< 1",
                text=f"{value:g}",
            )
        self.write(handling.note, INCIDENT, "the pool was full\n# since 03:10", BOB)
        self.write(_attach)
        self.after(30)
        self.store.write(self._mitigated)
        self.after(300)
        self.store.write(self._resolved)

    def change(self, address: str, before: Any, after: Any, *, connection: str = "cluster") -> None:
        self.note(
            "step.intent",
            address=address,
            action="kubernetes.set_resources",
            effect="change",
            attempt=1,
            summary=f"change {address}",
            target=f"{connection}:starforge/CronJob/{address}",  # as the engine writes it
            before=before,
            after=after,
        )

    def _mitigated(self, tx: Tx) -> None:
        row = lifecycle.held(tx, INCIDENT)
        lifecycle.move(tx, row, IncidentState.VERIFIED, "run succeeded; its query was satisfied")

    def _resolved(self, tx: Tx) -> None:
        row = lifecycle.held(tx, INCIDENT)
        lifecycle.move(tx, row, IncidentState.RESOLVED, "all its alerts have resolved")


def _attach(tx: Tx) -> None:
    limits = artifacts.ArtifactLimits()
    artifacts.attach(tx, INCIDENT, "errors.csv", "text/csv", b"id\n1\n", ALICE, limits)


def _hide(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _hide(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_hide(one) for one in value]
    return value.replace(SECRET, "(secret)") if isinstance(value, str) else value
