"""What a teller looks at: one incident with its runs, gates and new entries, read in one snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.domain.canonical import Json, JsonObject
from engine.domain.entry import StoredEntry
from engine.domain.incident import OVER
from engine.domain.run import ENDS, RunState
from engine.journal.rows import AlertRow, GateRow, IncidentRow, Page, RunRow, VoteRow
from engine.journal.store import Tx

_MANY = 200


@dataclass(frozen=True)
class Scene:
    """One incident as it is now.

    Attributes:
        runs: oldest first. entries: new ones by chain, in their order.
        plans: by the fingerprint of a gate that is told of.
        discreet: runs that draw on data of people: the files that they attach are named, and no more.
    """

    incident: IncidentRow
    alerts: Sequence[AlertRow]
    firing: int
    runs: Sequence[RunRow]
    gates: Sequence[GateRow]
    votes: Mapping[str, Sequence[VoteRow]]
    entries: Mapping[str, Sequence[StoredEntry]]
    plans: Mapping[str, Json]
    now: datetime
    discreet: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        return self.incident.state not in OVER

    @property
    def open_gates(self) -> list[GateRow]:
        return [gate for gate in self.gates if gate.state == "open"]

    @property
    def at_work(self) -> list[RunRow]:
        return [
            run
            for run in self.runs
            if run.state not in ENDS or (run.state is RunState.NEEDS_HUMAN and run.ended_at is None)
        ]

    def run(self, run_id: str) -> RunRow | None:
        return next((run for run in self.runs if run.id == run_id), None)

    def cursors(self, before: Mapping[str, int]) -> JsonObject:
        """How far the chains are told once this scene is."""
        told = {chain: entries[-1].n for chain, entries in self.entries.items() if entries}
        return {**before, **told}


def look(tx: Tx, incident: IncidentRow, cursors: Mapping[str, int]) -> Scene:
    """Read a scene: entries after `cursors`, everything else as it is now."""
    runs = tuple(reversed(tx.runs.list(Page(limit=_MANY), incident_id=incident.id)))
    alerts = tx.incidents.alerts(incident.id)
    entries = {
        chain: tx.journal.read(chain, after=cursors.get(chain, 0))
        for chain in (incident.id, *(run.id for run in runs))
    }
    gates = [gate for run in runs for gate in tx.gates.of_run(run.id)]
    news = {
        entry.body.get("gate")
        for found in entries.values()
        for entry in found
        if entry.kind in {"gate.opened", "gate.closed"}
    }
    plans = {
        gate.fingerprint: tx.blobs.plan(gate.run_id, gate.fingerprint)
        for gate in gates
        if gate.state == "open" or gate.id in news
    }
    firing = sum(
        not tx.alerts.is_resolved(row.alert.fingerprint, row.alert.starts_at) for row in alerts
    )
    votes = {gate.id: tx.gates.votes(gate.id) for gate in gates}
    return Scene(incident, alerts, firing, runs, gates, votes, entries, plans, tx.now())
