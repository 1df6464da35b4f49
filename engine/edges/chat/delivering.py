"""Takes parcels out of the outbox and has them delivered: lanes apart, each in order, limits shared by all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from uuid import uuid4

from engine.domain.errors import StanchError
from engine.edges.chat.port import Chat
from engine.journal.parcels import Delivery, Settled
from engine.journal.store import Store, Tx

_BURST = 5  # deliveries under one limit that may come faster than its pace
_LEAST = 0.001  # seconds; less would be no wait at all
LEASE = 60.0  # seconds; a delivery takes at most a few calls of ten seconds
_LOG = logging.getLogger("stanch.chat")


def _is_due(tx: Tx) -> bool:
    following = tx.outbox.next_due()
    return following is not None and following <= tx.now()


class Deliverer:
    """Delivers. Any number of threads and processes may; a lane is one's at a time."""

    def __init__(self, store: Store, chat: Chat, monotonic: Callable[[], float]) -> None:
        self._store = store
        self.chat = chat
        self._owner = f"chat-{uuid4().hex[:12]}"
        self._monotonic = monotonic
        self._lock = threading.Lock()
        # By limit, on the monotonic clock: when the next would be due if all kept to the pace.
        self._due_at: dict[str, float] = {}

    def step(self) -> bool:
        """Deliver one parcel; False where none is due."""
        if not self._store.read(_is_due):
            return False
        delivery = self._store.write(lambda tx: tx.outbox.claim(self._owner, LEASE))
        if delivery is None:
            return False
        settled = self._limited(delivery) or self._deliver(delivery)
        if settled.error:
            _LOG.warning("%s %s: %s", delivery.parcel.lane, delivery.parcel.kind, settled.error)
        if not self._store.write(lambda tx: tx.outbox.settle(delivery, settled)):
            _LOG.warning("%s is somebody else's by now", delivery.parcel.lane)
        return True

    def _limited(self, delivery: Delivery) -> Settled | None:
        """Why this parcel must wait, or None; reserves its place under the limit."""
        limit = self.chat.limit(delivery)
        held = self._store.read(lambda tx: tx.outbox.held(limit))
        now = self._monotonic()
        with self._lock:
            pace = self.chat.pace(limit)
            due = max(now, self._due_at.get(limit, now))
            wait = max(held, due - now - pace * _BURST)
            if wait <= 0:
                self._due_at[limit] = due + pace
                return None
        return Settled("queued", max(wait, _LEAST), doubtful=delivery.doubt)

    def _deliver(self, delivery: Delivery) -> Settled:
        try:
            return self.chat.deliver(delivery)
        except StanchError:
            raise
        except Exception as error:  # noqa: BLE001  a parcel that breaks us must not stand in the others' way
            _LOG.exception("%s cannot be delivered", delivery.parcel.key)
            return Settled("failed", error=f"{type(error).__name__}: {error}")
