"""When a postmortem is due: a row, with a reminder a day before and louder calls once it is late."""

from __future__ import annotations

from datetime import datetime, timedelta

from engine.domain.clock import format_time
from engine.domain.entry import Entry
from engine.domain.incident import Level
from engine.domain.people import ENGINE, Actor
from engine.incidents import calling
from engine.incidents.calling import Calling
from engine.journal.casefiles import PostmortemRow
from engine.journal.rows import IncidentRow
from engine.journal.store import Store, Tx

DUE = "postmortem_due"  # in an incident's body: seconds after it is resolved
_BEFORE = timedelta(hours=24)
_LATE = timedelta(hours=24)
_BATCH = 50


def wants(tx: Tx, incident_id: str, seconds: float) -> None:
    """A playbook of the incident asks for a postmortem; the shortest time of several holds."""
    incident = tx.incidents.get(incident_id)
    while incident is not None and incident.body.get("merged_into"):
        incident = tx.incidents.get(incident.body["merged_into"])
    if incident is None:
        return
    present = incident.body.get(DUE)
    if present is None or seconds < present:
        tx.incidents.update(incident.id, body={**incident.body, DUE: seconds})


def resolved(tx: Tx, incident: IncidentRow) -> None:
    """The incident is over: its postmortem is due from now."""
    seconds = incident.body.get(DUE)
    row = tx.postmortems.get(incident.id)
    if seconds is None or (row is not None and row.state == "published"):
        return
    now = tx.now()
    due = now + timedelta(seconds=float(seconds))
    first = max(now, due - _BEFORE) if due - now > _BEFORE else due
    tx.postmortems.put(
        PostmortemRow(
            incident_id=incident.id,
            state="due",
            due_at=due,
            next_at=first,
            reminded=0 if first < due else 1,
            version=row.version if row else 0,
            sections=row.sections if row else {},
            by=row.by if row else "",
            at=now,
        )
    )
    tx.journal.append(incident.id, [Entry("postmortem.due", {"at": format_time(due)})])


def reopened(tx: Tx, incident_id: str) -> None:
    """The incident goes on: nothing is due before it is over again."""
    row = tx.postmortems.get(incident_id)
    if row is not None and row.state == "due":
        put(tx, row, due_at=None, next_at=None, reminded=0)


def published(tx: Tx, row: PostmortemRow, actor: Actor) -> PostmortemRow:
    """The postmortem is written: nobody is reminded of it any more."""
    done = put(tx, row, state="published", next_at=None)
    for page in tx.pages.of_incident(row.incident_id):
        if page.subject == f"postmortem:{row.incident_id}" and page.acked_at is None:
            calling.seen(tx, page, actor, "the postmortem is published")
    return done


def put(tx: Tx, row: PostmortemRow, **changes: object) -> PostmortemRow:
    """Change a row."""
    values = {
        "incident_id": row.incident_id,
        "state": row.state,
        "due_at": row.due_at,
        "next_at": row.next_at,
        "reminded": row.reminded,
        "version": row.version,
        "sections": row.sections,
        "by": row.by,
        "at": row.at,
        **changes,
    }
    changed = PostmortemRow(**values)  # type: ignore[arg-type]
    tx.postmortems.put(changed)
    return changed


class Reminders:
    """Reminds of postmortems: first a line in the incident's story, then calls to people."""

    def __init__(self, store: Store, caller: Calling) -> None:
        self._store = store
        self._caller = caller

    def tick(self) -> int:
        """Remind of what is due; return how many that were."""
        if not self._store.read(lambda tx: tx.postmortems.due(1)):
            return 0
        return self._store.write(
            lambda tx: sum(self._remind(tx, row) for row in tx.postmortems.due(_BATCH))
        )

    def _remind(self, tx: Tx, row: PostmortemRow) -> int:
        incident = tx.incidents.get(row.incident_id)
        if incident is None or row.due_at is None:
            put(tx, row, next_at=None)
            return 1
        told, level, following = _stage(row.reminded, row.due_at)
        put(tx, row, next_at=following, reminded=row.reminded + 1)
        tx.journal.append(incident.id, [Entry("postmortem.reminded", {"reason": told})])
        if level is not None:
            subject = f"postmortem:{incident.id}"
            reason = f"{told}: {incident.title}; stanch postmortem {incident.id}"
            page = tx.pages.get(
                tx.pages.open(subject, reason, level.value, incident_id=incident.id)
            )
            if page is not None:
                if level.rank > Level(page.level).rank:
                    tx.pages.louder(page.id, level.value, reason)
                self._caller.call(tx, page, by=ENGINE)
        return 1


def _stage(reminded: int, due: datetime) -> tuple[str, Level | None, datetime | None]:
    """Return what is told at the nth reminder, how loudly, and when the next one comes."""
    at = format_time(due.replace(microsecond=0))
    if reminded == 0:
        return f"the postmortem is due by {at}, in a day", None, due
    if reminded == 1:
        return f"the postmortem was due by {at}", Level.WARNING, due + _LATE
    return f"the postmortem was due by {at}, a day ago", Level.CRITICAL, None
