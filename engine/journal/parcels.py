"""What the outbox, the rooms and the inbox hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from engine.domain.canonical import JsonObject


@dataclass(frozen=True)
class Parcel:
    """One thing to be said or done in a chat.

    Attributes:
        key: makes it unique: the same key is taken once, whoever hands it in.
        lane: where its order counts: an incident's id, or a channel's name.
        kind: create, post, update, upload, pin, topic, bookmark, invite, archive, ephemeral, answer.
        name: of the message that is posted or edited, within its lane.
    """

    key: str
    lane: str
    kind: str
    name: str | None = None
    body: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """A parcel that somebody delivers now.

    Attributes:
        epoch: of its lane; only its holder may settle it.
        doubt: an earlier try may have reached the chat: ask before doing it again.
        attempts: this one included.
        channel: the lane's, as the chat knows it.
        posts: the references of the lane's messages that the parcel speaks of, by name.
        since: when it was handed in.
    """

    parcel: Parcel
    epoch: int
    doubt: bool
    attempts: int
    channel: str | None
    posts: Mapping[str, str]
    since: datetime


@dataclass(frozen=True)
class Settled:
    """What a delivery came to.

    Attributes:
        state: done, failed, or queued (to be tried again).
        doubtful: with queued: the try may have reached the chat.
        wait: seconds until the lane is delivered to again.
        channel: of the lane, where it became known. ref: of the message, where one was posted.
        hold: names of limits, and seconds for which nobody sends what they limit.
    """

    state: str
    wait: float = 0.0
    error: str = ""
    doubtful: bool = False
    channel: str | None = None
    ref: str | None = None
    hold: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Room:
    """How far an incident has been told. `due`: the next time to look, without news."""

    incident_id: str
    state: str
    version: int
    body: JsonObject
    due: datetime | None


@dataclass(frozen=True)
class Received:
    """Something that a person sent. `again`: another process began to work on it and did not end."""

    id: str
    kind: str
    body: JsonObject
    at: datetime
    again: bool = False
