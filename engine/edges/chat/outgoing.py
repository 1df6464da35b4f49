"""Chat as actions see it: what they say goes into the outbox under the step's key, and the step is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath

from engine.domain.canonical import JsonObject
from engine.domain.errors import ActionFailed, Category
from engine.domain.message import Message
from engine.incidents.telling.composing import lane_of
from engine.incidents.telling.words import filed
from engine.journal.parcels import Parcel
from engine.journal.store import Store, Tx

FILE = 2**20  # characters


class OutgoingChat:
    """Implements `ChatPort` for one run.

    Args:
        channels: names that actions may post to, with the chat's ids.
        open_room: makes sure that an incident has its channel, before anything is said in it.
    """

    def __init__(
        self,
        store: Store,
        incident_id: str | None,
        channels: Mapping[str, str],
        open_room: Callable[[str], None],
    ) -> None:
        self._store = store
        self._incident = incident_id
        self._channels = channels
        self._open_room = open_room

    def post(
        self, message: Message, key: str, *, channel: str | None = None, thread: str | None = None
    ) -> JsonObject:
        body = {"message": message.as_json(), "thread": _name(thread) if thread else None}
        return self._put("post", key, _name(key), body, channel)

    def update(
        self, of: str, message: Message, key: str, *, channel: str | None = None
    ) -> JsonObject:
        return self._put("update", key, _name(of), {"message": message.as_json()}, channel)

    def upload(
        self, name: str, text: str, key: str, *, comment: str = "", channel: str | None = None
    ) -> JsonObject:
        if len(text) > FILE:
            what = f"the file {name} has {len(text)} characters; at most {FILE} are sent"
            raise ActionFailed(Category.DATA, what, effect_possible=False)
        title = PurePath(name).name
        body = {"filename": filed(name, key), "title": title, "text": text, "comment": comment}
        return self._put("upload", key, None, body, channel)

    def accepted(self, key: str, /) -> bool:
        return self._store.read(lambda tx: tx.outbox.has(_name(key)))

    def _put(
        self, kind: str, key: str, name: str | None, body: JsonObject, channel: str | None
    ) -> JsonObject:
        given = channel.lstrip("#") if channel else None
        if given is not None and given not in self._channels:
            known = ", ".join(sorted(self._channels)) or "none"
            what = f"the channel {given!r} is not allowed; slack.channels lists: {known}"
            raise ActionFailed(Category.CONFIGURATION, what, effect_possible=False)
        if given is None and self._incident is None:
            what = "the run belongs to no incident, so it has no channel; name one in channel:"
            raise ActionFailed(Category.DATA, what, effect_possible=False)
        if given is None and self._incident is not None:
            self._open_room(self._incident)

        def put(tx: Tx) -> None:
            if given is not None:
                lane = f"#{given}"
                tx.outbox.bind(lane, self._channels[given])
            else:
                room = tx.rooms.get(self._incident or "")
                lane = lane_of(self._incident or "", room.body if room else {})
            tx.outbox.put(Parcel(_name(key), lane, kind, name, body))

        self._store.write(put)
        return {"message": key, "channel": given or self._incident}


def _name(key: str) -> str:
    return f"step {key}"
