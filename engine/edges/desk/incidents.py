"""What people may do with incidents and calls. Each act answers with the incident as it then is."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput, NotFound, Refused
from engine.domain.incident import OVER
from engine.domain.people import Actor
from engine.edges.desk.find import find
from engine.edges.desk.hands import Hands
from engine.edges.desk.people import Level, require
from engine.edges.desk.reading import of_kind
from engine.incidents import artifacts, handling, lifecycle, views
from engine.incidents.postmortem.book import Request
from engine.journal.rows import PageRow
from engine.journal.store import Tx


class IncidentDesk(Hands):
    """The incidents' part of the desk."""

    def _act(
        self, actor: Actor, what: str, text: str, work: Callable[[Tx, str], Any]
    ) -> JsonObject:
        """Find the incident that `text` names, do the work, and return it.

        Raises:
            Refused: the actor is no operator, or the incident's state forbids it.
            InvalidInput, NotFound: what was given is wrong.
        """
        require(actor, Level.OPERATOR, what)
        incident_id = self._read(lambda tx: of_kind(tx, text, "incident").id)

        def act(tx: Tx) -> str:
            done = work(tx, incident_id)
            return str(getattr(done, "id", incident_id))

        self.app.store.write(act)
        return self._read(lambda tx: views.incident(tx, incident_id))

    # ------------------------------------------------------------ its state

    def acknowledge(self, actor: Actor, text: str, note: str = "") -> JsonObject:
        """Say that somebody looks: at an incident, or at what a call is about (a page's id, a run's).

        Returns:
            The incident, or the page where it belongs to none.
        """
        require(actor, Level.OPERATOR, "acknowledge")
        page = self._read(lambda tx: _page(tx, text))
        if page is None:
            return self._act(
                actor, "acknowledge", text, lambda tx, id_: _acknowledge(tx, id_, actor, note)
            )
        found = page
        if not self.app.store.write(
            lambda tx: lifecycle.acknowledge_page(tx, found.id, actor, note)
        ):
            seen = self._read(lambda tx: tx.pages.get(found.id))
            who = seen.acked_by if seen is not None else "somebody"
            raise Refused(f"{who} has seen page {found.id} already")
        return self._read(lambda tx: views.page(tx, found.id))

    def resolve(self, actor: Actor, text: str, reason: str) -> JsonObject:
        return self._act(
            actor,
            "resolve an incident",
            text,
            lambda tx, id_: lifecycle.resolve(tx, id_, actor, reason),
        )

    def close(self, actor: Actor, text: str, reason: str = "") -> JsonObject:
        return self._act(
            actor,
            "close an incident",
            text,
            lambda tx, id_: lifecycle.close(tx, id_, actor, reason),
        )

    def reopen(self, actor: Actor, text: str, reason: str) -> JsonObject:
        return self._act(
            actor,
            "reopen an incident",
            text,
            lambda tx, id_: lifecycle.reopen_by(tx, id_, actor, reason),
        )

    # ------------------------------------------------------------ what it says

    def severity(self, actor: Actor, text: str, severity: str, reason: str) -> JsonObject:
        return self._act(
            actor,
            "change a severity",
            text,
            lambda tx, id_: self._louder(tx, id_, severity, reason, actor),
        )

    def _louder(self, tx: Tx, incident_id: str, severity: str, reason: str, actor: Actor) -> Any:
        """A severity that was raised calls people as it would have at the opening."""
        incident = handling.set_severity(tx, incident_id, severity, reason, actor)
        if incident.state not in OVER:
            self.app.calling.incident_opened(tx, incident)
        return incident

    def title(self, actor: Actor, text: str, title: str, reason: str = "") -> JsonObject:
        return self._act(
            actor,
            "change a title",
            text,
            lambda tx, id_: handling.set_title(tx, id_, title, reason, actor),
        )

    def role(self, actor: Actor, text: str, role: str, person: str, note: str = "") -> JsonObject:
        return self._act(
            actor,
            "assign a role",
            text,
            lambda tx, id_: handling.assign(tx, id_, role, person, actor, note),
        )

    def note(self, actor: Actor, text: str, note: str) -> JsonObject:
        return self._act(
            actor, "write a note", text, lambda tx, id_: handling.note(tx, id_, note, actor)
        )

    def artifact(
        self,
        actor: Actor,
        text: str,
        name: str,
        content_type: str,
        content: str | None = None,
        reference: Mapping[str, Any] | None = None,
    ) -> JsonObject:
        """Attach a file: its bytes in base64, or the reference to where it lies."""
        if (content is None) == (reference is None):
            raise InvalidInput("give an artifact's content or its reference, one of them")

        def work(tx: Tx, incident_id: str) -> None:
            if reference is not None:
                artifacts.refer(tx, incident_id, name, content_type, reference, actor)
                return
            limits = self.app.artifact_limits
            raw = _decoded(content or "")
            artifacts.attach(tx, incident_id, name, content_type, raw, actor, limits)

        return self._act(actor, "attach an artifact", text, work)

    def artifact_content(self, text: str, artifact: str) -> tuple[JsonObject, bytes | None]:
        """Return an artifact of an incident and its bytes, None where they lie elsewhere.

        Raises:
            NotFound: the incident has no such artifact, or its bytes were forgotten.
        """

        def work(tx: Tx) -> tuple[JsonObject, bytes | None]:
            incident_id = find(tx, text).id
            rows = tx.artifacts.of(incident_id)
            found = next((row for row in rows if artifact in (row.id, row.name)), None)
            if found is None:
                names = tuple(row.name for row in rows[:5])
                raise NotFound(f"{incident_id} has no artifact {artifact!r}", near=names)
            content = tx.artifacts.content(found.id)
            if content is None and found.reference is None:
                raise NotFound(
                    f"{found.name} of {incident_id} is no longer kept (retention.artifacts in the "
                    f"configuration); it had {found.bytes:,} bytes and sha256 {found.sha256}"
                )
            return views.artifact_json(found), content

        return self._read(work)

    def merge(self, actor: Actor, text: str, into: str, reason: str) -> JsonObject:
        """Merge an incident into another, and return that one."""
        require(actor, Level.OPERATOR, "merge incidents")
        target = self._read(lambda tx: of_kind(tx, into, "incident").id)
        self._act(
            actor,
            "merge incidents",
            text,
            lambda tx, id_: handling.merge(tx, id_, target, reason, actor),
        )
        return self.incident(target)

    def escalate(
        self, actor: Actor, text: str, level: str, reason: str, chain: str | None = None
    ) -> JsonObject:
        """Call people about an incident now."""
        caller = self.app.calling
        return self._act(
            actor,
            "escalate",
            text,
            lambda tx, id_: handling.escalate(tx, caller, id_, level, reason, actor, chain),
        )

    # ------------------------------------------------------------ its postmortem

    def postmortem(self, actor: Actor, text: str, request: Request) -> JsonObject:
        """Make a postmortem: `{text, charts, conflicts, changed, version, state, due_at, decision}`.

        Raises:
            Refused: a document is given, or it is published, and the actor is no operator.
            InvalidInput, NotFound: the document, the template or the incident.
        """
        writes = request.given is not None or request.publish
        require(actor, Level.OPERATOR if writes else Level.VIEWER, "write a postmortem")
        incident_id = self._read(lambda tx: of_kind(tx, text, "incident").id)
        return self.app.book.make(incident_id, actor, request)

    # ------------------------------------------------------------ calls

    def pages(self, *, unresolved: bool = True) -> JsonObject:
        """Whom Stanch calls, about what, and who has seen it."""
        return self._read(
            lambda tx: {
                "items": [views.page_json(tx, row) for row in tx.pages.list(open_only=unresolved)],
                "next": None,
            }
        )

    def on_call(self) -> JsonObject:
        """Who is on call now, by every schedule, and the chains that call them."""
        return self.app.roster.view(self.app.clock.now())


def _acknowledge(tx: Tx, incident_id: str, actor: Actor, note: str) -> Any:
    return lifecycle.acknowledge(tx, incident_id, actor, note)


def _page(tx: Tx, text: str) -> PageRow | None:
    """The page that a page's id or a run's names; None: it is something else."""
    if text.startswith("page-"):
        page = tx.pages.get(text)
        if page is None:
            raise NotFound(f"there is no page {text}")
        return page
    found = find(tx, text)
    if found.kind != "run":
        return None
    waiting = [row for row in tx.pages.list(limit=1000) if row.run_id == found.id]
    if not waiting:
        raise InvalidInput(
            f"nobody is called about run {found.id}; name its incident to acknowledge"
        )
    return waiting[0]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("an artifact's content is sent in base64, and this is not") from None
