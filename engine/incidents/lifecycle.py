"""The states of an incident, and what moves it: runs that end, alerts that resolve, people.

One table, one pure function, as for runs. An incident is resolved only once all its alerts have resolved
and none of its runs is at work; "resolved" from the sender is no proof of health, and a run that
succeeded without a verification query only mitigates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.domain.entry import Entry
from engine.domain.errors import NotFound, Refused, StanchError
from engine.domain.incident import IncidentState
from engine.domain.people import Actor
from engine.domain.run import ENDS, RunState
from engine.journal.rows import EpisodeRow, IncidentRow, Page, RunRow
from engine.journal.store import Tx

S = IncidentState

TRANSITIONS: dict[IncidentState, frozenset[IncidentState]] = {
    S.OPEN: frozenset({S.ACKNOWLEDGED, S.MITIGATED, S.VERIFIED, S.RESOLVED, S.CLOSED}),
    S.ACKNOWLEDGED: frozenset({S.OPEN, S.MITIGATED, S.VERIFIED, S.RESOLVED, S.CLOSED}),
    S.MITIGATED: frozenset({S.OPEN, S.VERIFIED, S.RESOLVED, S.CLOSED}),
    S.VERIFIED: frozenset({S.OPEN, S.RESOLVED, S.CLOSED}),
    S.RESOLVED: frozenset({S.OPEN, S.CLOSED}),
    S.CLOSED: frozenset({S.OPEN}),
}

# A run that needs a person is parked, not over: its incident and its episode stay open for them.
AT_WORK = frozenset(RunState) - ENDS | {RunState.NEEDS_HUMAN}
_DONE = frozenset({S.RESOLVED, S.CLOSED})


class ForbiddenMove(StanchError):
    """The table has no such edge."""


def advance(current: IncidentState, to: IncidentState) -> IncidentState:
    """Return `to` where the table allows it.

    Raises:
        ForbiddenMove: there is no such edge.
    """
    if to not in TRANSITIONS[current]:
        raise ForbiddenMove(f"an incident cannot go from {current.value} to {to.value}")
    return to


def after_success(current: IncidentState, *, verified: bool) -> IncidentState:
    """Return the state after a run that succeeded. Better than mitigated is kept."""
    to = S.VERIFIED if verified else S.MITIGATED
    return to if to in TRANSITIONS[current] and current not in _DONE else current


def move(tx: Tx, incident: IncidentRow, to: IncidentState, reason: str) -> IncidentRow:
    """Move an incident and journal it; moving it to where it is does nothing.

    Raises:
        ForbiddenMove: there is no such edge.
    """
    if to is incident.state:
        return incident
    advance(incident.state, to)
    resolved_at = incident.resolved_at
    if to is S.RESOLVED:
        resolved_at = tx.now()
    elif incident.state in _DONE and to is S.OPEN:
        resolved_at = None
    changes: dict[str, object] = {"state": to}
    if resolved_at != incident.resolved_at:
        changes["resolved_at"] = resolved_at
    tx.incidents.update(incident.id, **changes)
    body = {"from": incident.state.value, "to": to.value, "reason": reason}
    tx.journal.append(incident.id, [Entry("incident.state", body)])
    return replace(incident, state=to, resolved_at=resolved_at)


def run_ended(tx: Tx, run: RunRow, *, verified: bool | None = None) -> None:
    """What follows from a run's end, in the transaction that ends it: called by the stepper's hook.

    Moves the incident, closes the episode where nothing of it fires, lets the alerts that queued for
    the run's concurrency group be decided. Safe to call again for the same end.

    Parameters:
        run: with its end state.
        verified: whether its last verification query was satisfied; None: read from its chain.
    """
    if run.group is not None:
        tx.decisions.release(run.group)
    if run.incident_id is not None:
        _tell(tx, run, verified)
    episode = tx.episodes.of_run(run.id)
    if episode is not None and episode.closed_at is None:
        closed = settle(tx, episode, ended=run)
        if not closed and episode.incident_id == run.incident_id:
            return  # the incident is not over while an episode of it is open
    if run.incident_id is not None:
        resolve_if_over(tx, run.incident_id, except_run=run.id if _is_over(run) else None)


def on_run_end(tx: Tx, run: RunRow, state: RunState, reason: str, *, verified: bool) -> None:
    """`run_ended` as the stepper's hook calls it: with the row as it was and the state it ends in."""
    run_ended(tx, replace(run, state=state, reason=reason), verified=verified)


def _tell(tx: Tx, run: RunRow, verified: bool | None) -> None:
    incident = tx.incidents.get(run.incident_id or "")
    if incident is None or incident.state in _DONE:
        return
    if run.parent is not None:
        if run.state is RunState.SUCCEEDED and incident.state in (S.MITIGATED, S.VERIFIED):
            move(tx, incident, S.OPEN, f"run {run.id} undid run {run.parent}")
    elif run.state is RunState.SUCCEEDED:
        sure = _verified(tx, run.id) if verified is None else verified
        proof = "its verification query was satisfied" if sure else "no query verified it"
        to = after_success(incident.state, verified=sure)
        move(tx, incident, to, f"run {run.id} succeeded; {proof}")


def _verified(tx: Tx, run_id: str) -> bool:
    """Whether the last `step.verify` of a run's chain was satisfied."""
    for entry in reversed(tx.journal.read(run_id)):
        if entry.kind == "step.verify":
            return bool(entry.body.get("satisfied"))
    return False


def _is_over(run: RunRow) -> bool:
    return run.state not in AT_WORK


def settle(tx: Tx, episode: EpisodeRow, *, ended: RunRow | None = None) -> bool:
    """Close an episode of which nothing fires and whose run has ended; return whether it closed."""
    if tx.episodes.firing(episode.id) > 0:
        return False
    run = ended or (tx.runs.get(episode.run_id) if episode.run_id else None)
    if run is not None and not _is_over(run):
        return False
    tx.episodes.close(episode.id)
    return True


def resolve_if_over(tx: Tx, incident_id: str, *, except_run: str | None = None) -> bool:
    """Resolve an incident whose alerts have all resolved and none of whose runs is at work."""
    incident = tx.incidents.get(incident_id)
    if incident is None or incident.state in _DONE or tx.episodes.open_of(incident_id):
        return False
    at_work = tx.runs.list(Page(limit=2), states=AT_WORK, incident_id=incident_id)
    if any(run.id != except_run for run in at_work):
        return False
    verdict = {
        S.VERIFIED: "verified by a query",
        S.MITIGATED: "repaired, not verified by a query",
    }.get(incident.state, "nothing verified it")
    move(tx, incident, S.RESOLVED, f"all its alerts have resolved ({verdict})")
    return True


def reopen(tx: Tx, incident_id: str, reason: str) -> None:
    """An alert fires again: what was mitigated, verified, resolved or closed is open again."""
    incident = tx.incidents.get(incident_id)
    if incident is not None and incident.state not in (S.OPEN, S.ACKNOWLEDGED):
        move(tx, incident, S.OPEN, reason)


def acknowledge(tx: Tx, incident_id: str, actor: Actor) -> IncidentRow:
    """A person has seen it.

    Raises:
        NotFound: no such incident. Refused: it is not open.
    """
    incident = _get(tx, incident_id)
    if incident.state is S.ACKNOWLEDGED:
        return incident
    if incident.state is not S.OPEN:
        raise Refused(
            f"incident {incident_id} is {incident.state.value}; only an open one is acknowledged"
        )
    return move(tx, incident, S.ACKNOWLEDGED, f"acknowledged by {actor.name}")


def close(tx: Tx, incident_id: str, actor: Actor, note: str = "") -> IncidentRow:
    """A person closes it. Its episodes close too: alerts that come later start afresh.

    Raises:
        NotFound: no such incident. Refused: a run of it is at work; the message names it.
    """
    incident = _get(tx, incident_id)
    at_work: Sequence[RunRow] = tx.runs.list(Page(limit=1), states=AT_WORK, incident_id=incident_id)
    if at_work:
        raise Refused(
            f"run {at_work[0].id} of incident {incident_id} is {at_work[0].state.value}; "
            "cancel it or let it end first"
        )
    for episode in tx.episodes.open_of(incident_id):
        tx.episodes.close(episode.id)
    return move(tx, incident, S.CLOSED, f"closed by {actor.name}{': ' + note if note else ''}")


def _get(tx: Tx, incident_id: str) -> IncidentRow:
    incident = tx.incidents.get(incident_id)
    if incident is None:
        raise NotFound(f"there is no incident {incident_id}")
    return incident
