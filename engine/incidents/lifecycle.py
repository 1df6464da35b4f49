"""What moves an incident: runs that end, alerts that resolve, people (the table: `engine.domain.incident`).

An incident is resolved only once all its alerts have resolved
and none of its runs is at work; "resolved" from the sender is no proof of health, and a run that
succeeded without a verification query only mitigates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.domain.entry import Entry
from engine.domain.errors import NotFound, Refused
from engine.domain.incident import (
    OVER,
    UNSEEN,
    IncidentState,
    advance,
    after_relapse,
    after_success,
)
from engine.domain.people import Actor
from engine.domain.run import ENDS, RunState
from engine.incidents import calling
from engine.incidents.calling import PAGED
from engine.incidents.postmortem import due
from engine.incidents.postmortem.due import DUE
from engine.journal.rows import EpisodeRow, IncidentRow, Page, RunRow
from engine.journal.store import Tx

S = IncidentState

# A run that needs a person is parked, not over: its incident and its episode stay open for them.
AT_WORK = frozenset(RunState) - ENDS | {RunState.NEEDS_HUMAN}


def move(
    tx: Tx, incident: IncidentRow, to: IncidentState, reason: str, actor: Actor | None = None
) -> IncidentRow:
    """Move an incident and journal it, with who did it; moving it to where it is does nothing.

    Raises:
        ForbiddenMove: there is no such edge.
    """
    if to is incident.state:
        return incident
    advance(incident.state, to)
    resolved_at = incident.resolved_at
    if to is S.RESOLVED:
        resolved_at = tx.now()
    elif incident.state in OVER and to not in OVER:
        resolved_at = None
    changes: dict[str, object] = {"state": to}
    if resolved_at != incident.resolved_at:
        changes["resolved_at"] = resolved_at
    tx.incidents.update(incident.id, **changes)
    body = {"from": incident.state.value, "to": to.value, "reason": reason}
    if actor is not None:
        body |= {"actor": actor.name, "via": actor.via}
    tx.journal.append(incident.id, [Entry("incident.state", body)])
    if DUE in incident.body:
        if to is S.RESOLVED:
            due.resolved(tx, incident)
        elif incident.state in OVER and to not in OVER:
            due.reopened(tx, incident.id)
    if incident.body.get(PAGED):
        calling.follow(tx, incident.id, to, actor, reason)
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
    incident = living(tx, run.incident_id or "")
    if incident is None or incident.state in OVER:
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
    incident = living(tx, incident_id)
    if incident is None or incident.state in OVER or tx.episodes.open_of(incident.id):
        return False
    at_work = tx.runs.list(Page(limit=2), states=AT_WORK, incident_id=incident.id)
    if any(run.id != except_run for run in at_work):
        return False
    verdict = {
        S.VERIFIED: "verified by a query",
        S.MITIGATED: "repaired, not verified by a query",
    }.get(incident.state, "nothing verified it")
    move(tx, incident, S.RESOLVED, f"all its alerts have resolved ({verdict})")
    return True


def living(tx: Tx, incident_id: str) -> IncidentRow | None:
    """The incident, or the one that it was merged into since its run began."""
    incident = tx.incidents.get(incident_id)
    while incident is not None and incident.body.get("merged_into"):
        incident = tx.incidents.get(incident.body["merged_into"])
    return incident


def reopen(tx: Tx, incident_id: str, reason: str) -> None:
    """An alert fires again: what was mitigated or verified is open again, what was over is reopened."""
    incident = living(tx, incident_id)
    if incident is not None:
        move(tx, incident, after_relapse(incident.state), reason)


def acknowledge(tx: Tx, incident_id: str, actor: Actor, note: str = "") -> IncidentRow:
    """A person has seen it. Who acknowledges an incident that nobody commands does not become commander.

    Raises:
        NotFound: no such incident. Refused: it is neither open nor reopened, and nobody is called about it.
    """
    incident = held(tx, incident_id)
    if incident.state is S.ACKNOWLEDGED:
        return incident
    if incident.state not in UNSEEN:
        # Repaired, and people are called about it: that is what they have seen.
        if incident.state not in OVER and calling.seen_all(tx, incident_id, actor, note):
            return incident
        raise Refused(
            f"incident {incident_id} is {incident.state.value}; only an open one is acknowledged"
        )
    return move(tx, incident, S.ACKNOWLEDGED, _told("acknowledged", actor, note), actor)


def acknowledge_page(tx: Tx, page_id: str, actor: Actor, note: str) -> bool:
    """Somebody has seen a page elsewhere: it is seen here, and so is the incident that it is about.

    Returns:
        False where it is unknown, or was seen before.
    """
    page = tx.pages.get(page_id)
    if page is None or page.acked_at is not None:
        return False
    incident = tx.incidents.hold(page.incident_id) if page.incident_id else None
    if (
        incident is not None
        and incident.state in UNSEEN
        and page.subject == f"incident:{incident.id}"
    ):
        move(tx, incident, S.ACKNOWLEDGED, _told("acknowledged", actor, note), actor)
        return True
    return calling.seen(tx, page, actor, note)


def resolve(tx: Tx, incident_id: str, actor: Actor, reason: str) -> IncidentRow:
    """A person says that it is over, although alerts may still fire. Its runs must have ended.

    Raises:
        NotFound: no such incident. Refused: it is closed, or a run of it is at work.
    """
    incident = held(tx, incident_id)
    if incident.state is S.CLOSED:
        raise Refused(f"incident {incident_id} is closed; reopen it first")
    _at_rest(tx, incident_id)
    return move(tx, incident, S.RESOLVED, _told("resolved", actor, reason), actor)


def reopen_by(tx: Tx, incident_id: str, actor: Actor, reason: str) -> IncidentRow:
    """A person opens again what was over.

    Raises:
        NotFound: no such incident. Refused: it is not over, or it was merged into another.
    """
    incident = held(tx, incident_id)
    if incident.state not in OVER:
        raise Refused(f"incident {incident_id} is {incident.state.value}: it is not over")
    into = incident.body.get("merged_into")
    if into:
        raise Refused(f"incident {incident_id} was merged into {into}; reopen that one")
    return move(tx, incident, S.REOPENED, _told("reopened", actor, reason), actor)


def close(tx: Tx, incident_id: str, actor: Actor, note: str = "") -> IncidentRow:
    """A person closes it. Its episodes close too: alerts that come later start afresh.

    Raises:
        NotFound: no such incident. Refused: a run of it is at work; the message names it.
    """
    incident = held(tx, incident_id)
    _at_rest(tx, incident_id)
    for episode in tx.episodes.open_of(incident_id):
        tx.episodes.close(episode.id)
    return move(tx, incident, S.CLOSED, _told("closed", actor, note), actor)


def _at_rest(tx: Tx, incident_id: str) -> None:
    at_work: Sequence[RunRow] = tx.runs.list(Page(limit=1), states=AT_WORK, incident_id=incident_id)
    if at_work:
        raise Refused(
            f"run {at_work[0].id} of incident {incident_id} is {at_work[0].state.value}; "
            "cancel it or let it end first"
        )


def _told(verb: str, actor: Actor, why: str) -> str:
    return f"{verb} by {actor.name}{': ' + why if why else ''}"


def held(tx: Tx, incident_id: str) -> IncidentRow:
    """Return an incident that nobody else changes before this transaction ends.

    Raises:
        NotFound: there is no such incident.
    """
    incident = tx.incidents.hold(incident_id)
    if incident is None:
        raise NotFound(f"there is no incident {incident_id}")
    return incident
