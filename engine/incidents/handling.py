"""What people and steps do to an incident: severity, title, roles, notes, merging, calls.

Each change is one transaction that holds the incident's row, and one entry in its chain with who and why.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput, Refused
from engine.domain.incident import OVER, IncidentState, level, role, severity
from engine.domain.people import Actor
from engine.incidents import lifecycle
from engine.incidents.calling import Calling
from engine.incidents.lifecycle import held
from engine.journal.rows import IncidentRow
from engine.journal.store import Tx

LONGEST_NOTE = 20_000  # characters
LONGEST_TITLE = 300


def set_severity(tx: Tx, incident_id: str, to: str, reason: str, actor: Actor) -> IncidentRow:
    """Change how bad it is.

    Raises:
        InvalidInput: no such severity, or no reason. NotFound.
    """
    name = severity(to)
    _reason(reason, "severity")
    incident = held(tx, incident_id)
    if incident.severity == name:
        return incident
    tx.incidents.update(incident_id, severity=name)
    _tell(
        tx,
        incident_id,
        "incident.severity",
        actor,
        **{"from": incident.severity, "to": name, "reason": reason},
    )
    return held(tx, incident_id)


def set_title(tx: Tx, incident_id: str, title: str, reason: str, actor: Actor) -> IncidentRow:
    """Raises InvalidInput where the title is empty or longer than 300 characters. NotFound."""
    told = " ".join(title.split())
    if not told or len(told) > LONGEST_TITLE:
        raise InvalidInput(f"a title has 1 to {LONGEST_TITLE} characters, this one has {len(told)}")
    incident = held(tx, incident_id)
    if incident.title == told:
        return incident
    tx.incidents.update(incident_id, title=told)
    _tell(
        tx,
        incident_id,
        "incident.title",
        actor,
        **{"from": incident.title, "to": told, "reason": reason},
    )
    return held(tx, incident_id)


_MOVES: dict[str, Callable[[Tx, str, Actor, str], IncidentRow]] = {
    "acknowledged": lifecycle.acknowledge,
    "resolved": lifecycle.resolve,
    "closed": lifecycle.close,
    "reopened": lifecycle.reopen_by,
}


def set_state(tx: Tx, incident_id: str, to: str, reason: str, actor: Actor) -> IncidentRow:
    """Move an incident because a person or a step says so.

    Raises:
        InvalidInput: no such state, or `verified`, which only a query's verdict gives.
        Refused, ForbiddenMove: the incident does not go there now. NotFound.
    """
    names = [*_MOVES, "mitigated"]
    if to not in names:
        more = "; verified comes from a verification query alone" if to == "verified" else ""
        raise InvalidInput(f"an incident is not set to {to!r}; there are: {', '.join(names)}{more}")
    if to == "mitigated":
        incident = held(tx, incident_id)
        if incident.state in {IncidentState.VERIFIED, *OVER}:
            return incident  # better than mitigated already
        told = f"mitigated, says {actor.name}{': ' + reason if reason else ''}"
        return lifecycle.move(tx, incident, IncidentState.MITIGATED, told, actor)
    return _MOVES[to](tx, incident_id, actor, reason)


def assign(
    tx: Tx, incident_id: str, role_name: str, person: str, actor: Actor, note: str = ""
) -> IncidentRow:
    """Give a role to a person, or hand it over to them.

    Raises:
        InvalidInput: no such role, or no name. Refused: the incident is closed. NotFound.
    """
    name, who = role(role_name), person.strip()
    if not who or len(who) > 100 or not who.isprintable():
        raise InvalidInput(f"{person!r} is no person's name; write for example {name}=alice")
    incident = held(tx, incident_id)
    if incident.state is IncidentState.CLOSED:
        raise Refused(f"incident {incident_id} is closed; reopen it first")
    roles = dict(incident.body.get("roles") or {})
    before = roles.get(name)
    if before == who:
        return incident
    roles[name] = who
    tx.incidents.update(incident_id, body={**incident.body, "roles": roles})
    _tell(
        tx,
        incident_id,
        "incident.role",
        actor,
        role=name,
        to=who,
        reason=note,
        **({"from": before} if before else {}),
    )
    return held(tx, incident_id)


def note(tx: Tx, incident_id: str, text: str, actor: Actor) -> IncidentRow:
    """Write into the incident's story.

    Raises:
        InvalidInput: empty, or longer than 20,000 characters. NotFound.
    """
    told = text.strip()
    if not told:
        raise InvalidInput("an empty note says nothing")
    if len(told) > LONGEST_NOTE:
        raise InvalidInput(
            f"the note has {len(told):,} characters, {LONGEST_NOTE:,} are taken; attach it as an "
            "artifact instead"
        )
    incident = held(tx, incident_id)
    _tell(tx, incident_id, "incident.note", actor, text=told)
    return incident


def merge(tx: Tx, source_id: str, into_id: str, reason: str, actor: Actor) -> IncidentRow:
    """Say that one incident is the same as another: its alerts, open episodes and runs go there.

    The one merged is closed and keeps its own chain; each names the other. The more severe one counts.

    Raises:
        InvalidInput: into itself, or no reason. NotFound.
        Refused: it was merged already, or the other was, or is closed.
    """
    if source_id == into_id:
        raise InvalidInput("an incident cannot be merged into itself")
    _reason(reason, "merging")
    first, second = sorted(
        (source_id, into_id)
    )  # one order, so that two nodes never block one another
    rows = {one: held(tx, one) for one in (first, second)}
    source, into = rows[source_id], rows[into_id]
    if source.body.get("merged_into"):
        raise Refused(f"incident {source_id} was merged into {source.body['merged_into']} already")
    if into.body.get("merged_into"):
        raise Refused(
            f"incident {into_id} was itself merged into {into.body['merged_into']}; merge into that"
        )
    if into.state is IncidentState.CLOSED:
        raise Refused(f"incident {into_id} is closed; reopen it first")
    tx.incidents.merge(source_id, into_id)
    merged = [*(into.body.get("merged") or []), source_id]
    changes: dict[str, object] = {"body": {**into.body, "merged": merged}}
    worse = min(source.severity, into.severity)  # P0 before P1
    if worse != into.severity:
        changes["severity"] = worse
    tx.incidents.update(into_id, **changes)
    tx.incidents.update(source_id, body={**source.body, "merged_into": into_id})
    body = {"source": source_id, "into": into_id, "reason": reason, "title": source.title}
    _tell(tx, into_id, "incident.merged", actor, **body)
    _tell(tx, source_id, "incident.merged", actor, **body)
    closed = f"merged into {into_id} by {actor.name}: {reason}"
    lifecycle.move(tx, held(tx, source_id), IncidentState.CLOSED, closed, actor)
    if into.state in OVER and source.state not in OVER:
        lifecycle.reopen(tx, into_id, f"{source_id} was merged into it and is not over")
    return held(tx, into_id)


def escalate(
    tx: Tx,
    caller: Calling,
    incident_id: str,
    level_name: str,
    reason: str,
    actor: Actor,
    chain: str | None = None,
) -> str:
    """Call people about an incident; return the page's id.

    Raises:
        InvalidInput: no such level or chain, or no reason. NotFound.
    """
    wanted = level(level_name)
    _reason(reason, "escalating")
    incident = held(tx, incident_id)
    return caller.escalate(tx, incident, wanted, reason, chain, actor)


def _reason(reason: str, what: str) -> None:
    if not reason.strip():
        raise InvalidInput(f"say why: {what} needs a reason that others can read")


def _tell(tx: Tx, incident_id: str, kind: str, actor: Actor, **body: object) -> None:
    told = {**body, "actor": actor.name, "via": actor.via}
    tx.journal.append(incident_id, [Entry(kind, told)])
