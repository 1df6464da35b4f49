"""What is said to people and heard from them, as a transaction sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from engine.domain.canonical import JsonObject
from engine.journal.parcels import Delivery, Parcel, Received, Room, Settled


class Outbox(Protocol):
    """What is to be said. Lanes are independent of one another; within one, order is kept."""

    def put(self, parcel: Parcel) -> bool:
        """Take a parcel once a key; False where it was taken before. An `update` supersedes the one of the
        same message that still waits."""
        ...

    def has(self, key: str) -> bool: ...

    def claim(self, owner: str, lease: float) -> Delivery | None:
        """Become for `lease` seconds the only one who delivers into a lane that is due; None: there is none."""
        ...

    def settle(self, delivery: Delivery, settled: Settled) -> bool:
        """Say what a delivery came to; False (and nothing is kept) where somebody else has the lane now."""
        ...

    def held(self, limit: str) -> float:
        """Seconds for which nobody sends what `limit` limits; 0: it is free."""
        ...

    def next_due(self) -> datetime | None: ...

    def channel(self, lane: str) -> str | None: ...

    def lane_of(self, channel: str) -> str | None:
        """The lane whose channel is this one, as the chat knows it."""
        ...

    def bind(self, lane: str, channel: str) -> None:
        """Say which channel a lane is, where nobody has to make it."""
        ...

    def waiting(self, lane: str) -> Sequence[Parcel]: ...

    def troubles(self) -> Sequence[tuple[str, str]]:
        """(lane, why) of the lanes that stand still."""
        ...

    def prune(self, before: datetime) -> int: ...


class Rooms(Protocol):
    """How far incidents have been told."""

    def new(self, since: datetime, limit: int) -> Sequence[str]:
        """Incidents without a live room that are open, or opened after `since` and never had one; oldest first."""
        ...

    def open(self, room: Room) -> bool:
        """False where there is one already."""
        ...

    def get(self, incident_id: str) -> Room | None: ...

    def live(self) -> Sequence[Room]: ...

    def heads(self) -> Mapping[str, Mapping[str, int]]:
        """Per incident with a live room: its chains and their last numbers."""
        ...

    def save(self, room: Room) -> bool:
        """Keep a room; False where somebody else did since it was read (then nothing is kept)."""
        ...

    def next_due(self) -> datetime | None: ...


class Inbox(Protocol):
    """What people sent."""

    def take(self, id_: str, kind: str, body: JsonObject) -> bool:
        """Store a request; False where it came before."""
        ...

    def claim(self, owner: str, lease: float) -> Received | None: ...

    def waits(self) -> bool:
        """Whether a request is there to be worked on."""
        ...

    def done(self, id_: str) -> None: ...

    def prune(self, before: datetime) -> int: ...
