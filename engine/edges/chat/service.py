"""Everything that speaks to people and listens to them, as one part: driven by hand, or in threads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

from starlette.routing import BaseRoute

from engine.domain.errors import StanchError
from engine.edges.chat.delivering import Deliverer
from engine.edges.chat.hearing import Hearing
from engine.journal.store import Store

_LOG = logging.getLogger("stanch.chat")
_IDLE = 1.0  # seconds between looks without news
_GATHER = 0.25  # seconds that news are gathered for, so that a burst is told in one message
_TROUBLED = 5.0  # seconds after a failure
_SENDERS = 3
_KEEP = timedelta(days=30)  # of what was said and heard, beside the journal
_PRUNE = 3600.0


class Listener(Protocol):
    """A way in that has to be kept open."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Tells(Protocol):
    """Hands to the outbox what is to be said."""

    def step(self) -> int:
        """Return of how many things there was something to tell."""
        ...


class ChatService:
    """Tellers, deliverer, hearing, and the ways in."""

    def __init__(
        self,
        store: Store,
        tellers: Sequence[Tells],
        deliverer: Deliverer,
        hearing: Hearing,
        routes: Sequence[BaseRoute] = (),
        listener: Listener | None = None,
    ) -> None:
        self.tellers = tuple(tellers)
        self.deliverer = deliverer
        self.hearing = hearing
        self._store = store
        self._routes = tuple(routes)
        self._listener = listener
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._wakes: list[threading.Event] = []
        self._unlisten: Callable[[], None] = lambda: None

    def routes(self) -> list[BaseRoute]:
        return list(self._routes)

    def step(self) -> bool:
        """Tell, hear and deliver once; False where nothing was to be done."""
        heard = self.hearing.step()
        told = self.tell()
        return self.deliverer.step() or told or heard

    def tell(self) -> bool:
        """Hand what is new to the outbox."""
        return sum(teller.step() for teller in self.tellers) > 0

    def start(self) -> None:
        """Work in threads of its own until `stop`."""
        self._spawn("chat-tell", self.tell, _GATHER)
        self._spawn("chat-hear", self.hearing.step)
        for n in range(_SENDERS):
            self._spawn(f"chat-send-{n}", self.deliverer.step)
        self._spawn("chat-prune", self._prune, _PRUNE)
        self._unlisten = self._store.listen(self._wake)
        if self._listener is not None:
            self._listener.start()

    def stop(self) -> None:
        """Let what is under way come to its end."""
        if self._listener is not None and self._threads:
            self._listener.stop()
        self._unlisten()
        self._stop.set()
        self._wake("chat")
        for thread in self._threads:
            thread.join()

    def _wake(self, topic: str) -> None:
        if topic in {"journal", "chat"}:
            for wake in self._wakes:
                wake.set()

    def _spawn(self, name: str, step: Callable[[], bool], gather: float = 0.0) -> None:
        wake = threading.Event()
        if gather < _PRUNE:
            self._wakes.append(wake)
        thread = threading.Thread(
            target=self._loop, args=(step, wake, gather), name=name, daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _loop(self, step: Callable[[], bool], wake: threading.Event, gather: float) -> None:
        while not self._stop.is_set():
            try:
                if step():
                    continue
                wake.wait(_IDLE)
                wake.clear()
                self._stop.wait(gather)
            except StanchError as error:
                _LOG.warning("chat rests for %g s: %s", _TROUBLED, error)
                self._stop.wait(_TROUBLED)
            except Exception:  # noqa: BLE001  a thread that ends in silence tells nobody anything
                _LOG.exception("chat rests for %g s", _TROUBLED)
                self._stop.wait(_TROUBLED)

    def _prune(self) -> bool:
        self._store.write(
            lambda tx: (
                tx.outbox.prune(tx.now() - _KEEP),
                tx.inbox.prune(tx.now() - _KEEP),
            )
        )
        return False
