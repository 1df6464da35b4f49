"""What the journal knows of an incident, as data that templates print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time, parse_time, spell
from engine.domain.entry import StoredEntry
from engine.domain.errors import NotFound
from engine.incidents import views
from engine.incidents.masking import MASKED, connection_of, masked_entry
from engine.incidents.timeline import describe
from engine.incidents.times import times_of
from engine.journal.rows import IncidentRow, Page, RunRow
from engine.journal.store import Tx

MOST = 2000  # entries of the timeline; the rest is counted
_RUNS = 500
# What happened to the story; what only the engine needs (claims, samples) stays in the journal.
_TOLD = (
    *("incident.", "call.", "page.", "run.created", "run.ended", "run.state", "run.signal"),
    *("gate.", "step.intent", "step.outcome", "step.retry", "step.applied", "step.confirm"),
    *("undo.", "drift.", "manual.", "wait.", "budget.", "brake.", "postmortem.", "lock.waiting"),
)


@dataclass(frozen=True)
class Known:
    """An incident and everything that belongs to it, read in one snapshot."""

    incident: IncidentRow
    detail: JsonObject
    runs: Sequence[RunRow]
    entries: Mapping[str, Sequence[StoredEntry]]  # by chain
    masked: frozenset[str]  # connections whose data is personal


def read(tx: Tx, incident_id: str, masked: Iterable[str] = ()) -> Known:
    """Read what the journal knows.

    Raises:
        NotFound: there is no such incident.
    """
    row = tx.incidents.get(incident_id)
    if row is None:
        raise NotFound(f"there is no incident {incident_id}")
    detail = views.incident(tx, incident_id)
    runs = list(reversed(tx.runs.list(Page(limit=_RUNS), incident_id=incident_id)))
    chains = views.chains_of(row, [run.id for run in runs])
    entries = {chain: tx.journal.read(chain) for chain in chains}
    return Known(row, detail, runs, entries, frozenset(masked))


def facts_of(known: Known, now: datetime) -> JsonObject:
    """Return what templates print: plain JSON, nothing of which is markup."""
    merged = sorted(
        (entry for chain in known.entries.values() for entry in chain),
        key=lambda entry: (entry.at, entry.chain != known.incident.id, entry.chain, entry.n),
    )
    told = [entry for entry in merged if entry.kind.startswith(_TOLD)]
    steps = _steps(known)
    return {
        "incident": {"roles": {}, "labels": {}, **views.incident_summary(known.incident)},
        "at": format_time(now.replace(microsecond=0)),
        "times": _times(known),
        "alerts": [_alert(one) for one in known.detail["alerts"]],
        "missing": {name: n for name, n in known.detail["missing"].items() if n},
        "runs": [_run(run) for run in known.runs],
        "timeline": [
            {
                "at": _second(entry),
                "text": describe(masked_entry(entry, known.masked)),
                "kind": entry.kind,
            }
            for entry in told[:MOST]
        ],
        "left_out": max(0, len(told) - MOST),
        "failures": _failures(merged),
        "classes": _classes(merged),
        "actions": [step for step in steps if step["effect"] == "change"],
        "communications": [step for step in steps if step["effect"] == "notify"],
        "calls": [
            {"at": _second(entry), "text": describe(entry)}
            for entry in merged
            if entry.kind in {"call.called", "call.sent", "call.failed", "page.seen"}
        ],
        "undone": _undone(known),
        "glass": [_glass(entry) for entry in merged if _broke(entry)],
        "notes": [
            {"at": _second(entry), "by": entry.body.get("actor", ""), "text": entry.body["text"]}
            for entry in merged
            if entry.kind == "incident.note" and entry.body.get("text")
        ],
        "artifacts": known.detail["artifacts"],
    }


def _second(entry: StoredEntry) -> str:
    return format_time(entry.at.replace(microsecond=0))


def _times(known: Known) -> JsonObject:
    own = known.entries[known.incident.id]
    began = [_instant(alert["starts_at"]) for alert in known.detail["alerts"]]
    times = times_of(known.incident.opened_at, began, own).as_json()
    spans = {
        name: spell(value) if value is not None else "not yet"
        for name, value in times["seconds"].items()
    }
    return {**times, "spans": spans}


def _instant(text: str) -> datetime:
    return parse_time(text)


def _alert(alert: JsonObject) -> JsonObject:
    return {
        "name": alert["name"],
        "labels": alert["labels"],
        "starts_at": alert["starts_at"],
        "resolved": alert["resolved"],
        "deliveries": alert["deliveries"],
        "summary": alert["annotations"].get("summary")
        or alert["annotations"].get("description", ""),
    }


def _run(run: RunRow) -> JsonObject:
    return {
        "id": run.id,
        "playbook": run.playbook,
        "state": run.state.value,
        "mode": run.mode.value,
        "reason": run.reason,
        "requester": run.requester,
        "parent": run.parent,
    }


# ---------------------------------------------------------------- what was done, and by whose leave


def _steps(known: Known) -> list[JsonObject]:
    """Every change and message that was begun, with its outcome and the run's approvers."""
    found: list[JsonObject] = []
    for run in known.runs:
        chain = known.entries.get(run.id, ())
        votes: dict[tuple[str, str], str] = {}
        open_: dict[str, JsonObject] = {}
        for entry in chain:
            body = entry.body
            if entry.kind == "gate.vote":
                votes[str(body.get("gate")), str(body.get("actor"))] = str(body.get("decision"))
            address = str(body.get("address", ""))
            if entry.kind == "step.intent" and body.get("effect") in {"change", "notify"}:
                if address not in open_:
                    step = _step(run, entry, _approvers(votes), known.masked)
                    open_[address] = step
                    found.append(step)
                open_[address]["attempts"] = body.get("attempt", 1)
            elif entry.kind == "step.outcome" and address in open_:
                open_[address]["state"] = body.get("state", "?")
                open_[address]["message"] = body.get("message", "")
            elif entry.kind == "undo.outcome" and address in open_:
                open_[address]["undone"] = body.get("state", "?")
    return sorted(found, key=lambda step: step["sort"])


def _step(
    run: RunRow, entry: StoredEntry, approvers: Sequence[str], masked: frozenset[str]
) -> JsonObject:
    body = entry.body
    connection = connection_of(body)
    path = str(body.get("target") or "").removeprefix(f"{connection}:")
    hidden = connection in masked
    return {
        "sort": format_time(entry.at) + run.id,
        "at": _second(entry),
        "run": run.id,
        "address": body.get("address", "?"),
        "action": body.get("action", "?"),
        "effect": body.get("effect"),
        "summary": f"{body.get('action')} on {path}" if hidden else _summary(body),
        "connection": connection,
        "target": path,
        "changes": _differences(body, hide=hidden),
        "state": "not told",
        "message": "",
        "attempts": body.get("attempt", 1),
        "approvers": list(approvers) if body.get("effect") == "change" else [],
        "mode": run.mode.value,
        "undone": None,
    }


def _summary(body: Mapping[str, Any]) -> Any:
    return body.get("summary") or body.get("action", "")


def _differences(body: Mapping[str, Any], *, hide: bool) -> list[JsonObject]:
    """Field by field, before and after; values of personal connections are not shown."""
    before, after = body.get("before"), body.get("after")
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return []
    return [
        {
            "field": name,
            "before": MASKED if hide else before.get(name),
            "after": MASKED if hide else after.get(name),
        }
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _approvers(votes: Mapping[tuple[str, str], str]) -> list[str]:
    """Whose leave there was so far: those who approved and did not take it back."""
    named = [
        f"{actor} (broke the glass)" if decision == "break_glass" else actor
        for (_, actor), decision in votes.items()
        if decision in {"approve", "break_glass"}
    ]
    return list(dict.fromkeys(named))


def _broke(entry: StoredEntry) -> bool:
    if entry.kind == "incident.break_glass":
        return True
    return entry.kind == "gate.vote" and entry.body.get("decision") == "break_glass"


def _glass(entry: StoredEntry) -> JsonObject:
    return {
        "at": _second(entry),
        "by": entry.body.get("actor", "?"),
        "reason": entry.body.get("comment") or entry.body.get("reason", ""),
        "chain": entry.chain,
    }


def _undone(known: Known) -> list[JsonObject]:
    """What was taken back: by a run itself, or by a run that undid another."""
    return [
        {
            "at": _second(entry),
            "run": run.id,
            "address": entry.body.get("address", "?"),
            "state": entry.body.get("state", "?"),
            "message": entry.body.get("message") or "",
            "by": "its own run" if run.parent is None else f"run {run.id}, of run {run.parent}",
        }
        for run in known.runs
        for entry in known.entries.get(run.id, ())
        if entry.kind == "undo.outcome"
    ]


# ---------------------------------------------------------------- causes


def _failures(entries: Sequence[StoredEntry]) -> list[JsonObject]:
    """Failed steps by their category, most first."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for entry in entries:
        if entry.kind != "step.outcome" or entry.body.get("state") != "failed":
            continue
        name = str(entry.body.get("category") or "unclassified")
        counts[name] += 1
        message = f"{entry.body.get('address', '?')}: {entry.body.get('message', '')}"
        examples.setdefault(name, message)
    return [
        {"category": name, "count": count, "example": examples[name]}
        for name, count in counts.most_common()
    ]


def _classes(entries: Sequence[StoredEntry]) -> list[JsonObject]:
    """Classes that steps found: every output that says `class`, with its evidence."""
    found: dict[str, JsonObject] = {}
    for entry in entries:
        output = entry.body.get("output") if entry.kind == "step.outcome" else None
        if not isinstance(output, Mapping) or not isinstance(output.get("class"), str):
            continue
        name = output["class"]
        if name not in found:
            line = output.get("line") or output.get("advice") or ""
            found[name] = {
                "class": name,
                "category": output.get("category") or "",
                "evidence": str(line),
                "step": entry.body.get("address", "?"),
            }
    return list(found.values())
