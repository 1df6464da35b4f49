"""What people see of alerts, decisions and incidents, as JSON; the CLI, the API and the pages show these.

Call them inside `store.read`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from engine.domain.alert import AlertStatus
from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.domain.entry import StoredEntry
from engine.domain.errors import NotFound
from engine.incidents.calling import PAGED
from engine.incidents.masking import masked_entry
from engine.incidents.postmortem.due import DUE
from engine.incidents.timeline import describe
from engine.incidents.times import times_of
from engine.journal.casefiles import ArtifactRow
from engine.journal.rows import (
    AlertRow,
    DecisionRow,
    DeliveryRow,
    IncidentRow,
    Page,
    PageRow,
    RunRow,
)
from engine.journal.store import Tx

_MANY = 1000


def decision_json(row: DecisionRow) -> JsonObject:
    """One decision: its verdict, the reason's code and its sentence."""
    code, _, text = row.reason.partition(": ")
    return {
        "id": row.id,
        "alert": row.alert_id,
        "rule": row.rule or None,
        "verdict": row.verdict,
        "code": code,
        "reason": text.replace("--alert ID", f"--alert {row.alert_id}"),
        "at": format_time(row.at),
        "run": row.run_id,
        "incident": row.incident_id,
    }


def alert_json(tx: Tx, row: AlertRow) -> JsonObject:
    """One alert with what was decided about it, newest decision first."""
    alert = row.alert
    resolved = alert.status is AlertStatus.RESOLVED or tx.alerts.is_resolved(
        alert.fingerprint, alert.starts_at
    )
    decisions = [
        decision_json(one) for one in tx.decisions.list(Page(limit=_MANY), alert_id=row.id)
    ]
    return {
        "id": row.id,
        "name": alert.name,
        **alert.as_json(),
        "resolved": resolved,
        "receiver": row.receiver,
        "group_key": row.group_key,
        "group_labels": dict(row.group_labels),
        "received_at": format_time(row.received_at),
        "deliveries": row.deliveries,
        "decided": row.decided,
        "decisions": decisions,
    }


def alerts(tx: Tx, page: Page, *, labels: Mapping[str, str] | None = None) -> Sequence[JsonObject]:
    """A page of alerts, newest first."""
    return [alert_json(tx, row) for row in tx.alerts.list(page, labels=labels)]


def alert(tx: Tx, alert_id: str) -> JsonObject:
    """Raises NotFound where there is no such alert."""
    row = tx.alerts.get(alert_id)
    if row is None:
        raise NotFound(f"there is no alert {alert_id}")
    return alert_json(tx, row)


def decisions(
    tx: Tx, page: Page, *, alert_id: str | None = None, rule: str | None = None
) -> Sequence[JsonObject]:
    """A page of decisions, newest first."""
    return [decision_json(row) for row in tx.decisions.list(page, alert_id=alert_id, rule=rule)]


def delivery_json(row: DeliveryRow) -> JsonObject:
    """A delivery that was not whole."""
    return {
        "id": row.id,
        "received_at": format_time(row.received_at),
        "receiver": row.receiver,
        "group_key": row.group_key,
        "truncated": row.truncated,
        "over_limit": row.over_limit,
        "unreadable": list(row.unreadable),
    }


def deliveries(tx: Tx, page: Page) -> Sequence[JsonObject]:
    """A page of deliveries with alerts cut, over the limit or unreadable, newest first."""
    return [delivery_json(row) for row in tx.alerts.deliveries(page)]


def incident_summary(row: IncidentRow) -> JsonObject:
    """An incident as a list shows it."""
    return {
        "id": row.id,
        "title": row.title,
        "rule": row.rule,
        "state": row.state.value,
        "severity": row.severity,
        "opened_at": format_time(row.opened_at),
        "resolved_at": format_time(row.resolved_at) if row.resolved_at else None,
        **{name: value for name, value in row.body.items() if name not in {PAGED, DUE}},
    }


def incidents(tx: Tx, page: Page, *, open_only: bool = False) -> Sequence[JsonObject]:
    """A page of incidents, newest first."""
    return [incident_summary(row) for row in tx.incidents.list(page, open_only=open_only)]


def incident(tx: Tx, incident_id: str, personal: Collection[str] = ()) -> JsonObject:
    """One incident: its alerts, its runs, its timeline, and what is known to be missing.

    Raises:
        NotFound: no such incident.
    """
    row = tx.incidents.get(incident_id)
    if row is None:
        raise NotFound(f"there is no incident {incident_id}")
    members = tx.incidents.alerts(incident_id)
    runs = tx.runs.list(Page(limit=_MANY), incident_id=incident_id)
    return {
        **incident_summary(row),
        "alerts": [_member(tx, one) for one in members],
        "missing": missing(tx, members),
        "times": times_of(
            row.opened_at,
            [one.alert.starts_at for one in members],
            tx.journal.read(incident_id),
        ).as_json(),
        "artifacts": [artifact_json(one) for one in tx.artifacts.of(incident_id)],
        "pages": [page_json(tx, one) for one in tx.pages.of_incident(incident_id)],
        "runs": [run_summary(run) for run in reversed(runs)],
        "decisions": [
            decision_json(one)
            for one in tx.decisions.list(Page(limit=_MANY), incident_id=incident_id)
        ],
        "timeline": timeline(tx, chains_of(row, [run.id for run in reversed(runs)]), personal),
    }


def chains_of(incident: IncidentRow, runs: Sequence[str]) -> Sequence[str]:
    """The chains that tell an incident's story: its own, those of what was merged into it, its runs'."""
    return [incident.id, *(incident.body.get("merged") or []), *runs]


def artifact_json(row: ArtifactRow) -> JsonObject:
    """One artifact, without its bytes."""
    return {
        "id": row.id,
        "name": row.name,
        "content_type": row.content_type,
        "bytes": row.bytes,
        "sha256": row.sha256,
        "by": row.by,
        "at": format_time(row.at),
        "reference": row.reference,
    }


def page_json(tx: Tx, row: PageRow) -> JsonObject:
    """One page: what waits to be seen, how far its call has come, and who has seen it."""
    call = tx.calls.get(row.id)
    seen = format_time(row.acked_at) if row.acked_at else None
    return {
        "id": row.id,
        "subject": row.subject,
        "run": row.run_id,
        "incident": row.incident_id,
        "level": row.level,
        "reason": row.reason,
        "state": "seen" if row.acked_at else "open",
        "raised_at": format_time(row.raised_at),
        "told": row.told,
        "chain": None if call is None else call.chain,
        "round": None if call is None else call.round + 1,
        "next_at": format_time(call.next_at) if call is not None and call.next_at else None,
        "seen_by": row.acked_by or None,
        "seen_at": seen,
        "note": row.note,
    }


def page(tx: Tx, page_id: str) -> JsonObject:
    """One page with its messages.

    Raises:
        NotFound: no such page.
    """
    row = tx.pages.get(page_id)
    if row is None:
        raise NotFound(f"there is no page {page_id}")
    sends = [
        {
            "n": one.n,
            "event": one.event,
            "contact": one.contact,
            "way": one.way,
            "state": one.state,
            "at": format_time(one.at),
            "tries": one.tries,
            "error": one.error,
        }
        for one in tx.calls.sends(page_id)
    ]
    return {**page_json(tx, row), "messages": sends}


def _member(tx: Tx, row: AlertRow) -> JsonObject:
    alert = row.alert
    return {
        "id": row.id,
        "name": alert.name,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "starts_at": format_time(alert.starts_at),
        "deliveries": row.deliveries,
        "resolved": tx.alerts.is_resolved(alert.fingerprint, alert.starts_at),
    }


def run_summary(run: RunRow) -> JsonObject:
    """A run as a list shows it."""
    return {
        "id": run.id,
        "playbook": run.playbook,
        "state": run.state.value,
        "reason": run.reason,
        "mode": run.mode.value,
        "priority": run.priority,
        "rule": run.rule,
        "incident": run.incident_id,
        "requester": run.requester,
        "created_at": format_time(run.created_at),
        "ended_at": format_time(run.ended_at) if run.ended_at else None,
    }


def missing(tx: Tx, members: Sequence[AlertRow]) -> JsonObject:
    """How many alerts of these alerts' groups never reached us, as far as senders and limits told.

    The greatest number of any one delivery, since every repeat leaves out much the same alerts.
    """
    groups = {(row.receiver, row.group_key) for row in members}
    troubled = [
        row
        for row in tx.alerts.deliveries(Page(limit=_MANY))
        if (row.receiver, row.group_key) in groups
    ]
    return {
        "truncated": max((row.truncated for row in troubled), default=0),
        "over_limit": max((row.over_limit for row in troubled), default=0),
        "unreadable": max((len(row.unreadable) for row in troubled), default=0),
    }


def timeline(tx: Tx, chains: Sequence[str], personal: Collection[str] = ()) -> Sequence[JsonObject]:
    """Merge chains by time; at one time in the order of `chains`, each in its own order.

    Args:
        personal: connections whose values are not told.
    """
    merged: list[tuple[StoredEntry, int]] = []
    for place, chain in enumerate(chains):
        merged.extend((entry, place) for entry in tx.journal.read(chain))
    merged.sort(key=lambda pair: (pair[0].at, pair[1], pair[0].n))
    return [
        {
            "at": format_time(entry.at),
            "chain": entry.chain,
            "n": entry.n,
            "kind": entry.kind,
            "text": describe(masked_entry(entry, personal)),
        }
        for entry, _ in merged
    ]
