"""Works on what people sent, after it was acknowledged: commands, buttons, forms. Answers leave by the outbox.

A request is stored before it is acknowledged, so that none is lost. One that was begun and not ended (a
crash) is worked on again only where doing it twice is as doing it once; else the person is told.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol
from uuid import uuid4

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput, NotFound, Refused, StanchError, StoreUnavailable
from engine.domain.message import Message, say
from engine.domain.people import Actor
from engine.edges.chat import answers
from engine.edges.chat.commands import Commands
from engine.edges.chat.steering import Asker, decided
from engine.edges.desk.acting import Desk
from engine.incidents.telling.gates import closing
from engine.journal.parcels import Parcel, Received
from engine.journal.store import Tx

LEASE = 60.0  # seconds
_LOG = logging.getLogger("stanch.chat")
_ONCE = frozenset({"retry"})  # buttons that are not pressed again by themselves
_LOST = (
    "The server stopped while it worked on this, and it is not done twice by itself. "
    "Look with /stanch status whether it happened, and say it again if it did not."
)


class Forms(Protocol):
    """Opens a form for a person who pressed a button; there are seconds for it, so it is not queued."""

    def decide(self, trigger: str, channel: str, gate: JsonObject, plan: JsonObject | None) -> None:
        """Ask for a decision with a comment at a gate, for the plan that its `fingerprint` names.

        Raises:
            ActionFailed: it cannot be opened.
        """
        ...

    def done(self, trigger: str, channel: str, run: str, address: str) -> None:
        """Ask what was done."""
        ...


class Hearing:
    """Takes requests out of the inbox and has the desk do them.

    Args:
        actor_of: who a chat user is, by id and groups.
        groups_of: the chat groups that a user is in.
    """

    def __init__(
        self,
        desk: Desk,
        commands: Commands,
        forms: Forms,
        actor_of: Callable[[str, Collection[str]], Actor],
        groups_of: Callable[[str], Collection[str]],
    ) -> None:
        self._desk = desk
        self._store = desk.app.store
        self._commands = commands
        self._forms = forms
        self._actor_of = actor_of
        self._groups_of = groups_of
        self._owner = f"hearing-{uuid4().hex[:12]}"
        self._presses: Mapping[str, Callable[[Asker, JsonObject], Message | None]] = {
            "approve": self._approve,
            "reject": self._reject,
            "reject_these": self._reject_these,
            "decide": self._decide,
            "ack": self._ack,
            "cancel": self._cancel,
            "retry": self._retry,
            "done": self._done,
            "page": lambda _asker, _body: None,  # only a link
        }

    def step(self) -> bool:
        """Work on one request; False where none waits."""
        if not self._store.read(lambda tx: tx.inbox.waits()):
            return False
        received = self._store.write(lambda tx: tx.inbox.claim(self._owner, LEASE))
        if received is None:
            return False
        answer = self._answer(received)

        def end(tx: Tx) -> None:
            if answer is not None:
                tx.outbox.put(_parcel(received, answer))
            tx.inbox.done(received.id)

        self._store.write(end)
        return True

    def _answer(self, received: Received) -> Message | None:
        if received.again and not self._repeatable(received):
            return say(_LOST)
        try:
            asker = self._asker(received.body)
            return self._do(received, asker)
        except StoreUnavailable:
            raise  # it stays in the inbox
        except StanchError as error:
            return self._refusal(received, error)
        except Exception as error:  # noqa: BLE001  a request that breaks us must not stand in others' way
            _LOG.exception("request %s failed", received.id)
            return say(
                f"This is a fault of Stanch's own ({type(error).__name__}); its log says more."
            )

    def _repeatable(self, received: Received) -> bool:
        if received.kind == "command":
            return self._commands.repeatable(str(received.body["text"]))
        return received.body.get("action") not in _ONCE

    def _asker(self, body: JsonObject) -> Asker:
        user, channel = str(body["user"]), body.get("channel")
        actor = self._actor_of(user, self._groups_of(user))
        lane = self._store.read(lambda tx: tx.outbox.lane_of(channel)) if channel else None
        incident = lane.partition("#")[0] if lane and not lane.startswith("#") else None
        return Asker(actor, incident)

    def _do(self, received: Received, asker: Asker) -> Message | None:
        body = received.body
        if received.kind == "command":
            return self._commands.answer(str(body["text"]), asker)
        press = self._presses.get(str(body.get("action")))
        if press is None:
            return say("This button is of another version of Stanch; use /stanch help.")
        return press(asker, body)

    # ------------------------------------------------------------ buttons and forms

    def _approve(self, asker: Asker, body: JsonObject) -> Message:
        gate, fingerprint = _gate(body)
        comment = str(body.get("comment") or "")
        only = chosen(body.get("items"), body.get("all") or ())
        if only is not None:
            left = self._desk.choose(asker.actor, gate, fingerprint, only=only, reason=comment)
            return decided(left)
        return decided(self._desk.approve(asker.actor, gate, fingerprint, comment))

    def _reject(self, asker: Asker, body: JsonObject) -> Message:
        gate, _ = _gate(body)
        return decided(self._desk.reject(asker.actor, gate, str(body.get("comment") or "")))

    def _reject_these(self, asker: Asker, body: JsonObject) -> Message:
        gate, fingerprint = _gate(body)
        offered, items = body.get("all") or (), body.get("items") or ()
        kept = [one for one in offered if one not in items]
        if not kept or len(kept) == len(offered):
            raise InvalidInput(
                "choose the items that you reject, some and not all of them; or reject all of it"
            )
        comment = str(body.get("comment") or "")
        left = self._desk.choose(
            asker.actor, gate, fingerprint, only=chosen(kept, offered), reason=comment
        )
        return decided(left)

    def _decide(self, asker: Asker, body: JsonObject) -> None:
        del asker
        gate, fingerprint = _gate(body)
        found = self._desk.gate(gate)
        if found["state"] != "open":
            raise Refused(f"the gate is closed: {found['state']}")
        try:
            plan = self._desk.plan(gate)
        except NotFound:
            plan = None
        seen = {**found, "fingerprint": fingerprint}
        self._forms.decide(str(body.get("trigger") or ""), _channel(body), seen, plan)

    def _ack(self, asker: Asker, body: JsonObject) -> Message:
        return self._commands.answer(f"ack {body['value']}", asker)

    def _cancel(self, asker: Asker, body: JsonObject) -> Message:
        line = self._desk.cancel(asker.actor, str(body["value"]), str(body.get("comment") or ""))
        return say(answers.run_line(line))

    def _retry(self, asker: Asker, body: JsonObject) -> Message:
        line = self._desk.retry(asker.actor, str(body["value"]), str(body.get("comment") or ""))
        return say(answers.run_line(line))

    def _done(self, asker: Asker, body: JsonObject) -> Message | None:
        run, _, address = str(body["value"]).partition(" ")
        note = body.get("comment")
        if note is None:
            self._forms.done(str(body.get("trigger") or ""), _channel(body), run, address)
            return None
        return say(answers.run_line(self._desk.done(asker.actor, run, address, str(note))))

    def _refusal(self, received: Received, error: StanchError) -> Message:
        """Say no, and of a gate that is closed when and by whom it was."""
        told = answers.refusal(error)
        if received.kind == "command" or not isinstance(error, Refused):
            return told
        try:
            gate, _ = _gate(received.body)
        except InvalidInput:
            return told
        row = self._store.read(lambda tx: tx.gates.get(gate))
        if row is None or row.state == "open":
            return told
        return say(f"Too late: this gate was {closing(row)}.")


def _gate(body: JsonObject) -> tuple[str, str]:
    """The gate and the plan that a button or a form speaks of.

    Raises:
        InvalidInput: it speaks of none.
    """
    try:
        value = json.loads(str(body.get("value") or ""))
        return str(value["gate"]), str(value["fingerprint"])
    except (ValueError, TypeError, KeyError):
        raise InvalidInput("this button names no gate; use /stanch help") from None


def chosen(items: Any, offered: Collection[str]) -> dict[str, list[str]] | None:
    """Return the keys that were chosen by step, of items `step[key]`; None: all of them, or none were offered."""
    if not isinstance(items, list) or not offered or set(items) == set(offered):
        return None
    only: dict[str, list[str]] = {}
    for item in offered:
        step, _, key = item.removesuffix("]").partition("[")
        only.setdefault(step, []).extend([key] if item in items else [])
    # A step of which all items stay is not asked about.
    return {
        step: keys
        for step, keys in only.items()
        if len(keys) < sum(one.startswith(f"{step}[") for one in offered)
    }


def _channel(body: JsonObject) -> str:
    return str(body.get("channel") or "")


def _parcel(received: Received, answer: Message) -> Parcel:
    body = received.body
    told: JsonObject = {
        "message": answer.as_json(),
        "url": body.get("url"),
        "user": body["user"],
        "channel": body.get("channel"),
    }
    return Parcel(f"answer {received.id}", f"answers {body['user']}", "answer", None, told)
