"""Carries calls on: reaches who is next, sends the messages, reminds of postmortems. All of it is rows.

Any number of nodes may do this side by side. Who calls next is decided by a condition on the page's row,
who sends a message by a condition on the message's: one node wins. A message is claimed before it is sent
and marked afterwards, so that a node that dies in between leaves it to be sent again a minute later: for
a call to people, twice is better than never, and pagers keep one alert a page.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from engine.domain.canonical import JsonObject
from engine.domain.errors import ActionFailed, StoreUnavailable
from engine.incidents import calling
from engine.incidents.chains import Call, Contact, Policy, next_call
from engine.incidents.standing import follow, standing
from engine.journal.casefiles import CallRow, SendRow
from engine.journal.store import Store, Tx

_LOG = logging.getLogger("stanch.escalation")
LOOK = 5.0  # seconds between looks
CLAIM = 60.0  # seconds that a node has for one message
MOST_TRIES = 6
_BATCH = 50


@dataclass(frozen=True)
class Message:
    """One message to one contact.

    Attributes:
        name: the page's id: what pagers call the alert, over all its messages.
        event: trigger, acknowledge or resolve.
    """

    name: str
    event: str
    level: str
    title: str
    text: str
    contact: str
    details: JsonObject
    link: str | None


class Messenger(Protocol):
    """Reaches people; wiring fills it with the registry's actions and the chat."""

    def send(self, way: JsonObject, message: Message, key: str) -> str:
        """Send a message, once a key, and return what became of it in a few words.

        Raises:
            ActionFailed: it was not sent, or nobody knows.
        """
        ...


@dataclass(frozen=True)
class OnDuty:
    """Who is on call: names, and the ways to reach them.

    Attributes:
        source: what said so, for people.
    """

    names: Sequence[str]
    ways: Sequence[JsonObject]
    source: str


class OnCall(Protocol):
    """Says who is on call."""

    def who(self, schedule: str, at: datetime) -> OnDuty:
        """Raises ActionFailed where the schedule cannot be asked."""
        ...


class Reminders(Protocol):
    """Other work that is due by rows: postmortems."""

    def tick(self) -> int: ...


class Escalator:
    """Does what is due. `tick` once, or `start` for a thread that does so until `stop`.

    Parameters:
        public_url: where people find Stanch's pages; None: messages carry no link.
    """

    def __init__(
        self,
        store: Store,
        policy: Policy,
        messenger: Messenger,
        on_call: OnCall,
        *,
        public_url: str | None = None,
        reminders: Sequence[Reminders] = (),
    ) -> None:
        self._store = store
        self._policy = policy
        self._messenger = messenger
        self._on_call = on_call
        self._url = public_url
        self._reminders = reminders
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._unlisten: Callable[[], None] | None = None

    # ------------------------------------------------------------ one round

    def tick(self) -> int:
        """Settle, call and send what is due; return how much that was."""
        done = self._settle()
        done += sum(self._call(call) for call in self._store.read(lambda tx: tx.calls.due(_BATCH)))
        done += sum(one.tick() for one in self._reminders)
        return done + self._send_all()

    def _settle(self) -> int:
        """Follow the pages: seen, or about nothing any more."""
        found = self._store.read(
            lambda tx: [call for call in tx.calls.open_ones() if standing(tx, call) != call.state]
        )
        return sum(self._followed(call) for call in found)

    def _followed(self, call: CallRow) -> int:
        return self._store.write(lambda tx: follow(tx, call))

    def _call(self, call: CallRow) -> int:
        """Call who is next. Who is on call is asked outside the transaction: that may take seconds."""
        due = next_call(self._policy, call, self._now())
        reached = [self._reach(contact) for contact in due.contacts]
        return self._store.write(lambda tx: self._book(tx, call, due, reached))

    def _now(self) -> datetime:
        return self._store.read(lambda tx: tx.now())

    def _reach(self, contact: Contact) -> _Reached:
        if contact.on_call is None:
            return _Reached(contact.title, contact.ways, "")
        try:
            duty = self._on_call.who(contact.on_call, self._now())
        except ActionFailed as error:
            note = f"who is on call by {contact.on_call} cannot be told: {error}"
            return _Reached(contact.title, contact.ways, note)
        if not duty.names:
            note = f"{contact.on_call} has nobody on call"
            return _Reached(contact.title, contact.ways, note)
        name = f"{contact.title} ({', '.join(duty.names)})"
        return _Reached(name, (*duty.ways, *contact.ways), f"on call by {duty.source}")

    def _book(self, tx: Tx, call: CallRow, due: Call, reached: Sequence[_Reached]) -> int:
        now = tx.now()
        ways = [way for one in reached for way in one.ways]
        # Where nobody could be reached this time, the next one is not kept waiting.
        next_at = due.next_at if ways or due.rung == 0 else now
        if call.state != calling.CALLING or not tx.calls.change(
            call, rung=due.rung, round=due.round, next_at=next_at
        ):
            return 0  # acknowledged meanwhile, or another node called
        n = len(tx.calls.sends(call.id))
        seen: set[str] = set()
        for one in reached:
            for way in one.ways:
                if str(way) in seen:
                    continue
                seen.add(str(way))
                n += 1
                tx.calls.send(
                    SendRow(call.id, n, "trigger", one.name, dict(way), "pending", now, 0, now)
                )
        notes = "; ".join(one.note for one in reached if one.note)
        if not seen and reached:
            notes = "; ".join(part for part in (notes, "there is no way to reach them") if part)
        if reached:
            calling.called(tx, call, [one.name for one in reached], notes)
        return 1

    # ------------------------------------------------------------ messages

    def _send_all(self) -> int:
        due = self._store.read(lambda tx: tx.calls.due_sends(_BATCH))
        return sum(self._send(row) for row in due)

    def _send(self, row: SendRow) -> int:
        def claim(tx: Tx) -> tuple[CallRow, str] | None:
            call = tx.calls.get(row.call_id)
            if call is None or not tx.calls.claim_send(row, tx.now() + timedelta(seconds=CLAIM)):
                return None
            incident = tx.incidents.get(call.incident_id) if call.incident_id else None
            return call, call.reason if incident is None else incident.title

        claimed = self._store.write(claim)
        if claimed is None:
            return 0
        call, title = claimed
        key = f"{row.call_id}-{row.n}"
        try:
            told, ok = self._messenger.send(row.way, self._message(call, title, row), key), True
        except ActionFailed as error:
            told, ok = str(error), False
        except Exception as error:  # noqa: BLE001  a channel is foreign code; the chain goes on
            _LOG.error("page %s: message %d failed", row.call_id, row.n, exc_info=error)
            told, ok = f"{type(error).__name__}: {error}", False
        self._store.write(lambda tx: self._sent(tx, call, row, told, ok=ok))
        return 1

    def _sent(self, tx: Tx, call: CallRow, row: SendRow, told: str, *, ok: bool) -> None:
        tries = row.tries + 1
        again = not ok and tries < MOST_TRIES
        next_at = tx.now() + timedelta(seconds=min(300.0, 5.0 * 2**tries)) if again else None
        state = "sent" if ok else ("pending" if again else "failed")
        tx.calls.sent(row, state=state, error="" if ok else told, next_at=next_at)
        if ok or not again or tries == 1:
            calling.delivered(tx, call, row, ok=ok, message=told)

    def _message(self, call: CallRow, title: str, row: SendRow) -> Message:
        about = f"incidents/{call.incident_id}" if call.incident_id else f"runs/{call.run_id}"
        text = [
            title,
            f"Level: {call.level}. {call.reason}",
            f"About: {call.subject.replace(':', ' ')}",
            f"Acknowledge: stanch ack {call.id}",
        ]
        known = call.incident_id or call.run_id
        link = f"{self._url.rstrip('/')}/{about}" if self._url and known else None
        if link:
            text.append(link)
        return Message(
            name=call.id,
            event=row.event,
            level=call.level,
            title=f"[{call.level}] {title}",
            text="\n".join(text),
            contact=row.contact,
            details={
                "page": call.id,
                "subject": call.subject,
                "incident": call.incident_id or "",
                "reason": call.reason,
            },
            link=link,
        )

    # ------------------------------------------------------------ at work

    def start(self) -> None:
        """Begin to look every five seconds, and whenever a page changed."""
        self._unlisten = self._store.listen(self._heard)
        self._thread = threading.Thread(target=self._serve, name="escalation", daemon=True)
        self._thread.start()

    def _heard(self, topic: str) -> None:
        if topic == "calls":
            self._wake.set()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._unlisten is not None:
            self._unlisten()
        if self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                while self.tick() and not self._stop.is_set():
                    pass
            except StoreUnavailable as error:
                _LOG.warning("pages wait for the journal: %s", error)
            self._wake.wait(LOOK)


@dataclass(frozen=True)
class _Reached:
    name: str
    ways: Sequence[JsonObject]
    note: str
