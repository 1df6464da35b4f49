"""Rows that stand beside an incident: calls and their messages, artifacts, postmortems."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from engine.domain.canonical import JsonObject


@dataclass(frozen=True)
class CallRow:
    """A page on its way through an escalation chain.

    Attributes:
        id: the page's own.
        level: warning, critical or emergency, as the chain last heard.
        chain: which escalation chain calls people.
        state: calling, acknowledged or over.
        rung: how many contacts of the chain have been called in this round.
        round: how often the chain began anew.
        next_at: when the next contact is due; None: nothing is.
        body: `labels`, which rungs' matchers look at.
    """

    id: str
    subject: str
    run_id: str | None
    incident_id: str | None
    level: str
    chain: str
    reason: str
    state: str
    rung: int
    round: int
    next_at: datetime | None
    opened_at: datetime
    closed_at: datetime | None = None
    body: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class SendRow:
    """One message of a call to one contact by one way.

    Attributes:
        event: trigger, acknowledge or resolve.
        state: pending, sent or failed (given up).
        way: where it goes, as the configuration wrote it.
    """

    call_id: str
    n: int
    event: str
    contact: str
    way: JsonObject
    state: str
    at: datetime
    tries: int = 0
    next_at: datetime | None = None
    error: str = ""


@dataclass(frozen=True)
class ArtifactRow:
    """A file of an incident (or of a run that has none): its bytes here, or a reference to where they lie."""

    id: str
    subject: str
    name: str
    content_type: str
    bytes: int
    sha256: str
    by: str
    at: datetime
    reference: JsonObject | None = None


@dataclass(frozen=True)
class PostmortemRow:
    """What people wrote into a postmortem, and when it is due.

    Attributes:
        state: due or published.
        version: raised whenever people's sections change.
        sections: people's prose by section.
    """

    incident_id: str
    state: str
    due_at: datetime | None
    next_at: datetime | None
    reminded: int
    version: int
    sections: JsonObject
    by: str
    at: datetime
