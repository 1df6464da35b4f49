"""What a chat system must be able to do. Slack and the console implement it; another one fits the same."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from engine.journal.parcels import Delivery, Settled


class Chat(Protocol):
    """Delivers parcels."""

    name: str

    def limit(self, delivery: Delivery) -> str:
        """The name of the limit that this delivery falls under, shared by all who deliver."""
        ...

    def pace(self, limit: str) -> float:
        """Seconds between two deliveries under a limit, in the long run."""
        ...

    def deliver(self, delivery: Delivery) -> Settled:
        """Carry one parcel out and say what came of it. Never raises for what the chat says or fails to say.

        With `delivery.doubt` it asks first whether an earlier try did it already.
        """
        ...

    def groups_of(self, user: str) -> Collection[str]:
        """The chat groups, of those that the configuration names, that a user is in."""
        ...
