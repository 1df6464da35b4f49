"""A page on its way through an escalation chain: opened, raised, acknowledged, over.

A page (`paging`) says that something waits to be seen; a call is how the configured chain reaches people
about it. Everything here is done in the caller's transaction; `escalation` sends what the rows say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput
from engine.domain.incident import OVER, UNSEEN, IncidentState, Level
from engine.domain.people import ENGINE, Actor
from engine.incidents.chains import Policy
from engine.journal.casefiles import CallRow, SendRow
from engine.journal.rows import IncidentRow, PageRow
from engine.journal.store import Tx

PAGED = "paged"  # in an incident's body: it has pages; spares all others the question
CALLING, ACKNOWLEDGED, ENDED = "calling", "acknowledged", "over"


@dataclass(frozen=True)
class Calling:
    """Pages people about incidents, by the configured policy."""

    policy: Policy = field(default_factory=Policy)

    def incident_opened(self, tx: Tx, incident: IncidentRow) -> None:
        """An incident has opened: its severity says whether and how loudly people are called."""
        level = self.policy.severities.get(incident.severity)
        if level is not None:
            self.escalate(tx, incident, level, f"{incident.severity}: {incident.title}")

    def escalate(
        self,
        tx: Tx,
        incident: IncidentRow,
        level: Level,
        reason: str,
        chain: str | None = None,
        by: Actor = ENGINE,
    ) -> str:
        """Page people about an incident and return the page's id; one that is open is made louder.

        Parameters:
            chain: an escalation chain by name; None: the level's.

        Raises:
            InvalidInput: there is no such chain.
        """
        if chain is not None and chain not in self.policy.chains:
            known = ", ".join(sorted(self.policy.chains)) or "none"
            raise InvalidInput(f"there is no escalation chain {chain!r}; configured are: {known}")
        subject = f"incident:{incident.id}"
        page_id = tx.pages.open(subject, reason, level.value, incident_id=incident.id)
        page = tx.pages.get(page_id)
        assert page is not None
        if level.rank > Level(page.level).rank:
            tx.pages.louder(page_id, level.value, reason)
            page = replace(page, level=level.value, reason=reason)
        if not incident.body.get(PAGED):
            tx.incidents.update(incident.id, body={**incident.body, PAGED: True})
        self.call(tx, page, chain, by)
        return page_id

    def call(self, tx: Tx, page: PageRow, chain: str | None = None, by: Actor = ENGINE) -> bool:
        """Let the chain of its level call about a page; return False where there is no chain to call.

        Called again, it changes nothing, unless the page has become louder.
        """
        level = Level(page.level)
        name = self.policy.chain_of(level, chain)
        if name not in self.policy.chains:
            return False
        present = tx.calls.get(page.id)
        rule = self.policy.rule(level)
        now = tx.now()
        due = now + timedelta(seconds=rule.first if rule is not None else 0.0)
        if present is None:
            call = CallRow(
                id=page.id,
                subject=page.subject,
                run_id=page.run_id,
                incident_id=page.incident_id,
                level=level.value,
                chain=name,
                reason=page.reason,
                state=CALLING,
                rung=0,
                round=0,
                next_at=due,
                opened_at=now,
                body={"labels": _labels(tx, page)},
            )
            if tx.calls.open(call):
                tell(tx, call, "call.opened", level=call.level, chain=name, by=by.name)
        elif level.rank > Level(present.level).rank and present.state != ENDED:
            raised = {"level": level.value, "chain": name, "reason": page.reason, "state": CALLING}
            if tx.calls.change(present, **raised, rung=0, round=0, next_at=due):
                tell(tx, present, "call.raised", level=level.value, chain=name, by=by.name)
        return True


def _labels(tx: Tx, page: PageRow) -> dict[str, str]:
    """What rungs' matchers look at: the incident's first alert, its severity and rule."""
    incident = tx.incidents.get(page.incident_id) if page.incident_id else None
    subject = {"subject": page.subject.partition(":")[0]}
    if incident is None:
        return subject
    told = incident.body.get("labels") or {}
    return {**told, **subject, "severity": incident.severity, "rule": incident.rule}


def follow(tx: Tx, incident_id: str, to: IncidentState, actor: Actor | None, reason: str) -> None:
    """An incident's own pages are seen once it is acknowledged, or over."""
    if to not in UNSEEN and (actor is not None or to in OVER):
        seen_all(tx, incident_id, actor or ENGINE, reason)


def seen_all(tx: Tx, incident_id: str, actor: Actor, note: str) -> int:
    """Somebody has seen what people are called about an incident for; return how many pages were open."""
    subject = f"incident:{incident_id}"
    pages = [page for page in tx.pages.of_incident(incident_id) if page.subject == subject]
    return sum(seen(tx, page, actor, note) for page in pages if page.acked_at is None)


def seen(tx: Tx, page: PageRow, actor: Actor, note: str) -> bool:
    """Somebody has seen a page: nobody else is called. False where somebody had before."""
    if not tx.pages.acknowledge(page.id, actor.name, note):
        return False
    body = {"page": page.id, "subject": page.subject, "by": actor.name, "via": actor.via}
    chain = page.run_id or page.incident_id or page.id
    tx.journal.append(chain, [Entry("page.seen", {**body, "note": note})])
    return True


def acknowledged(tx: Tx, call: CallRow, by: str, note: str, *, told_by: str = "") -> bool:
    """Stop calling, and pass the acknowledgement on to the pagers that were told.

    Parameters:
        told_by: the connection's kind or name that the acknowledgement came from, which needs not be told.
    """
    if call.state != CALLING or not tx.calls.change(call, state=ACKNOWLEDGED, next_at=None):
        return False
    tell(tx, call, "call.acknowledged", by=by, reason=note, **({"via": told_by} if told_by else {}))
    pass_on(tx, call, "acknowledge")
    return True


def ended(tx: Tx, call: CallRow, reason: str) -> bool:
    """There is nothing to call about any more."""
    if not tx.calls.change(call, state=ENDED, next_at=None, closed_at=tx.now()):
        return False
    tell(tx, call, "call.resolved", reason=reason)
    pass_on(tx, call, "resolve")
    return True


def pass_on(tx: Tx, call: CallRow, event: str) -> None:
    """Take back what was not sent yet, and tell those that were told what has happened since."""
    sends = tx.calls.sends(call.id)
    told: dict[str, SendRow] = {}
    for send in sends:
        if send.event != "trigger":
            continue
        if send.state == "pending":
            tx.calls.sent(send, state="failed", error="not needed any more", next_at=None)
        if send.tries > 0:  # it arrived, or may have
            told.setdefault(str(sorted(send.way.items())), send)
    for n, send in enumerate(told.values(), len(sends) + 1):
        now = tx.now()
        message = replace(send, n=n, event=event, state="pending", at=now, tries=0, error="")
        tx.calls.send(replace(message, next_at=now))


def chain_of(call: CallRow) -> str:
    """Where a call's story is journalled: with its run, else its incident, else in a chain of its own."""
    return call.run_id or call.incident_id or call.id


def tell(tx: Tx, call: CallRow, kind: str, **body: object) -> None:
    """Journal something about a call."""
    told = {"page": call.id, "subject": call.subject, **body}
    tx.journal.append(chain_of(call), [Entry(kind, told)])


def called(tx: Tx, call: CallRow, contacts: Sequence[str], why: str) -> None:
    """Journal, before anything is sent, who is called."""
    tell(tx, call, "call.called", contacts=list(contacts), reason=why, round=call.round + 1)


def delivered(tx: Tx, call: CallRow, send: SendRow, *, ok: bool, message: str) -> None:
    """Journal what became of a message."""
    kind = "call.sent" if ok else "call.failed"
    way = next(iter(send.way), "")
    tell(tx, call, kind, contact=send.contact, event=send.event, way=way, message=message)
