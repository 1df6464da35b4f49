"""Runs, gates and plans as JSON, made from the journal: what the API, the CLI and the pages show.

Pure readings of one transaction. Nothing here holds a secret or a before-image: the journal holds neither.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import format_time
from engine.domain.entry import StoredEntry
from engine.domain.run import ENDS, RunState
from engine.journal.rows import GateRow, RunRow
from engine.journal.store import Tx
from engine.planning.batches import batches_of
from engine.planning.fold import fold
from engine.planning.progress import RunProgress, StepState

_HIDDEN_OF_A_STEP = (
    "plan",
    "text",
    "version",
)  # what apply needs, and what only the fingerprint needs


def entry_view(entry: StoredEntry) -> JsonObject:
    """Return one journal entry: `n`, `at`, `kind`, `body`."""
    return {
        "chain": entry.chain,
        "n": entry.n,
        "at": format_time(entry.at),
        "kind": entry.kind,
        "body": entry.body,
    }


def run_view(row: RunRow) -> JsonObject:
    """Return the line of a run in lists. `over` tells whether it has ended."""
    alert = row.trigger.get("alert") or {}
    return {
        "id": row.id,
        "playbook": row.playbook,
        "program": row.program,
        "rule": row.rule,
        "incident": row.incident_id,
        "alert": alert.get("id") if isinstance(alert, dict) else None,
        "state": row.state.value,
        "reason": row.reason,
        "over": row.state in ENDS,
        "mode": row.mode.value,
        "priority": row.priority,
        "requester": row.requester,
        "created_at": format_time(row.created_at),
        "ended_at": format_time(row.ended_at) if row.ended_at else None,
        "group": row.group,
        "parent": row.parent,
    }


def run_detail(tx: Tx, row: RunRow) -> JsonObject:
    """Return a run with its inputs, steps, gates and the fingerprint of its latest plan."""
    entries = tx.journal.read(row.id)
    progress = RunProgress(state=row.state)
    ended: dict[str, str] = {}
    for entry in entries:
        fold(progress, entry.kind, entry.body, entry.at, entry.n)
        if entry.kind in _ENDINGS:
            ended[str(entry.body.get("address"))] = format_time(entry.at)
    plan = tx.blobs.plan(row.id)
    lines = {line["address"]: line for line in plan["steps"]} if plan else {}
    return {
        **run_view(row),
        "inputs": row.inputs,
        "trigger": row.trigger,
        "fingerprint": progress.fingerprint or (plan or {}).get("fingerprint"),
        "outputs": _outputs(tx, row, entries),
        "holds": {
            "cancel": progress.cancel,
            "hold": progress.hold,
            "kind": progress.hold_kind if progress.hold is not None else None,
            "taken_by": progress.taken_by,
            "person": progress.stuck,
        },
        "steps": [
            _step(state, lines.get(state.address, {}), ended.get(state.address))
            for state in progress.steps.values()
        ],
        "gates": [gate_view(tx, gate) for gate in tx.gates.of_run(row.id)],
        "entries": len(entries),
    }


def run_batches(tx: Tx, row: RunRow, now: datetime) -> list[JsonObject]:
    """Return how far each foreach of a run is: see `batches_of`."""
    progress = RunProgress(state=row.state)
    for entry in tx.journal.read(row.id):
        fold(progress, entry.kind, entry.body, entry.at, entry.n)
    return batches_of(progress, now)


_ENDINGS = frozenset({"step.outcome", "step.skipped", "undo.outcome"})


def _step(state: StepState, line: JsonObject, ended_at: str | None) -> JsonObject:
    planned: JsonObject = state.planned or {}
    target = planned.get("target") or line.get("target")
    if isinstance(target, dict):
        target = f"{target['connection']}:{target['path']}"
    return {
        "address": state.address,
        "title": line.get("title", state.address),
        "kind": line.get("kind"),
        "action": planned.get("action") or line.get("action"),
        "state": state.status.value,
        "changed": state.changed,
        "attempts": state.attempt,
        "target": target,
        "summary": planned.get("summary") or line.get("summary", ""),
        "before": planned.get("before", {}),
        "after": (state.receipt or {}).get("after") or planned.get("after", {}),
        "counts": (state.receipt or {}).get("counts") or planned.get("counts", {}),
        "category": state.category.value if state.category else None,
        "message": state.message,
        "output": state.output,
        "started_at": format_time(state.started_at) if state.started_at else None,
        "ended_at": ended_at,
    }


def _outputs(tx: Tx, row: RunRow, entries: Iterable[StoredEntry]) -> Json:
    """Return what the run gave, in the order in which its playbook declares it: entries know no order."""
    outputs: Json = None
    for entry in entries:
        if entry.kind == "run.ended":
            outputs = entry.body.get("outputs")
    text = tx.blobs.program(row.program) if outputs else None
    return in_order_of(outputs, json.loads(text).get("outputs")) if text else outputs


def in_order_of(value: Json, declared: Json) -> Json:
    """Return the same value with the keys of its maps in the declared order; other keys follow as they are."""
    if not isinstance(value, dict) or not isinstance(declared, dict):
        return value
    names = [*(name for name in declared if name in value), *value]
    return {name: in_order_of(value[name], declared.get(name)) for name in dict.fromkeys(names)}


def run_entries(tx: Tx, run_id: str, *, after: int = 0, limit: int = 500) -> list[JsonObject]:
    """Return entries of a run's chain from number `after` + 1 on, oldest first."""
    return [entry_view(entry) for entry in tx.journal.read(run_id, after=after, limit=limit)]


def gate_view(tx: Tx, row: GateRow) -> JsonObject:
    """Return a gate with its votes and how many approvals are missing."""
    votes = tx.gates.votes(row.id)
    approved = sum(1 for vote in votes if vote.decision == "approve")
    run = tx.runs.get(row.run_id)
    return {
        "id": row.id,
        "run": row.run_id,
        "playbook": run.playbook if run else None,
        "incident": run.incident_id if run else None,
        "address": row.address,
        "role": row.role,
        "approvals": row.approvals,
        "missing": max(0, row.approvals - approved) if row.state == "open" else 0,
        "fingerprint": row.fingerprint,
        "state": row.state,
        "opened_at": format_time(row.opened_at),
        "expires_at": format_time(row.expires_at) if row.expires_at else None,
        "closed_at": format_time(row.closed_at) if row.closed_at else None,
        "closed_by": row.closed_by,
        "closed_why": row.closed_why,
        "votes": [
            {
                "actor": vote.actor,
                "via": vote.via,
                "decision": vote.decision,
                "comment": vote.comment,
                "at": format_time(vote.at),
            }
            for vote in votes
        ],
        "body": row.body,
    }


def public_plan(document: JsonObject) -> JsonObject:
    """Return a plan document without what only apply and the fingerprint need (requests, preconditions)."""
    return {**document, "steps": _shown(document["steps"]), "gates": _shown(document["gates"])}


def _shown(steps: Sequence[JsonObject]) -> list[JsonObject]:
    return [
        {name: value for name, value in step.items() if name not in _HIDDEN_OF_A_STEP}
        for step in steps
    ]


def plan_view(tx: Tx, run: RunRow, fingerprint: str | None = None) -> JsonObject | None:
    """Return the run's named or latest plan for people; None where it has none."""
    document: Any = tx.blobs.plan(run.id, fingerprint)
    if document is None:
        return None
    return {"run": run.id, "run_state": run.state.value, **public_plan(document)}


def waits_for_a_person(state: RunState) -> bool:
    """Whether a run in this state goes no further until somebody decides."""
    return state in {RunState.AWAITING_APPROVAL, RunState.HELD, RunState.NEEDS_HUMAN}
