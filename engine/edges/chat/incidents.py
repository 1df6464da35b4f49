"""`/stanch` about incidents: taken up, told about, ended. In an incident's channel it need not be named."""

from __future__ import annotations

import re
from collections.abc import Callable

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.domain.message import Message, Section, say
from engine.domain.people import Actor
from engine.edges.chat import answers
from engine.edges.chat.grammar import Typed
from engine.edges.chat.steering import Asker, Steering, need
from engine.incidents.postmortem.book import Request
from engine.incidents.telling.words import cut
from engine.journal.rows import Page

LONG = 8000  # characters of one answer
SOME = Page(limit=20)
_MENTION = re.compile(r"<@([A-Z0-9]+)(?:\|[^>]*)?>\Z")  # how Slack sends a person that was picked


class IncidentWords(Steering):
    """The words about one incident; each act answers with the incident as it then is."""

    def _ack(self, asker: Asker, typed: Typed) -> Message:
        found = self._incident_of(asker, typed)
        item = self._desk.acknowledge(asker.actor, found)
        what = item.get("title") or item["reason"]
        return say(f"{item['id']} is {item['state']} by {asker.actor.name}: {what}")

    def _note(self, asker: Asker, typed: Typed) -> Message:
        incident, start = self._incident_first(asker, typed)
        self._desk.note(asker.actor, incident, typed.rest(start))
        return say(f"Noted in {incident}.")

    def _severity(self, asker: Asker, typed: Typed) -> Message:
        incident, start = self._incident_first(asker, typed)
        to = need(typed, start, "a severity", "severity [INCIDENT] P0|P1|P2 REASON")
        reason = typed.rest(start + 1)
        return _said(self._desk.severity(asker.actor, incident, to.upper(), reason))

    def _role(self, asker: Asker, typed: Typed) -> Message:
        incident, start = self._incident_first(asker, typed)
        usage = "role [INCIDENT] ROLE PERSON [note]"
        role = need(typed, start, "a role", usage).lower()
        who = self._person(need(typed, start + 1, "a person", usage))
        self._desk.role(asker.actor, incident, role, who, typed.rest(start + 2))
        return say(f"{who} is {role} of {incident}.")

    def _person(self, text: str) -> str:
        picked = _MENTION.match(text)
        directory = self._desk.app.config.directory
        return str(directory.person("slack", picked[1]) if picked else directory.canonical(text))

    def _escalate(self, asker: Asker, typed: Typed) -> Message:
        incident, start = self._incident_first(asker, typed)
        usage = "escalate [INCIDENT] warning|critical|emergency REASON"
        level = need(typed, start, "a level", usage).lower()
        item = self._desk.escalate(asker.actor, incident, level, typed.rest(start + 1))
        return say(f"People are called about {item['id']} ({level}): {item['title']}")

    def _resolve(self, asker: Asker, typed: Typed) -> Message:
        return self._ended(self._desk.resolve, asker, typed)

    def _reopen(self, asker: Asker, typed: Typed) -> Message:
        return self._ended(self._desk.reopen, asker, typed)

    def _close(self, asker: Asker, typed: Typed) -> Message:
        return self._ended(self._desk.close, asker, typed)

    def _ended(
        self, act: Callable[[Actor, str, str], JsonObject], asker: Asker, typed: Typed
    ) -> Message:
        incident, start = self._incident_first(asker, typed)
        return _said(act(asker.actor, incident, typed.rest(start)))

    def _postmortem(self, asker: Asker, typed: Typed) -> Message:
        found = self._incident_of(asker, typed)
        answer = self._desk.postmortem(asker.actor, found, Request(draw=False))
        due = f", due by {answer['due_at'][:16]}Z" if answer["due_at"] else ""
        told = Section(f"{answer['state']}{due}; whole: stanch postmortem {answer['incident']}")
        return Message(title="Postmortem", sections=(told, Section(code=cut(answer["text"], LONG))))

    # ------------------------------------------------------------ which one

    def _incident_first(self, asker: Asker, typed: Typed) -> tuple[str, int]:
        """The incident that is named first, else the channel's or the only open one; where the rest begins."""
        if typed.arguments and typed.arguments[0].startswith("inc-"):
            return typed.arguments[0], 1
        return self._incident_of(asker, Typed(typed.word)), 0

    def _incident_of(self, asker: Asker, typed: Typed) -> str:
        if typed.arguments:
            return typed.arguments[0]
        if asker.incident is not None:
            return asker.incident
        found = self._desk.incidents(SOME, open_only=True)["items"]
        if len(found) == 1:
            return str(found[0]["id"])
        names = "; ".join(answers.incident_line(row) for row in found) or "none is open"
        raise InvalidInput(f"name an incident, or ask in its channel: {names}")


def _said(item: JsonObject) -> Message:
    return say(f"{item['id']} is {item['state']}, {item['severity']}: {item['title']}")
