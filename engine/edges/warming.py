"""The part of the application that warms up; asked for by those who serve, once they are ready."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from engine.domain.canonical import JsonObject
from engine.edges.config import Config
from engine.running.warming import Budget, Warmer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.language.program import Program
    from engine.running.services import Services
    from engine.running.worker import Worker
    from engine.running.yielding import GiveWay

PATIENCE = 1.0  # seconds that the end of the process waits for the fetch that is under way


class Warming:
    """Fetches ahead in a thread of its own; `Application` has what it needs."""

    config: Config
    _stop: threading.Event
    _worker: Worker | None
    _give_way: GiveWay
    _warmer: Warmer | None = None
    _warming: threading.Thread | None = None

    if TYPE_CHECKING:

        @property
        def services(self) -> Services: ...

        def playbooks(self) -> Mapping[str, Program]: ...

    def start_warming(self) -> None:
        """Begin to fetch what runs will need, unless the configuration says not to. Needs the workers."""
        if not self.config.warmup.enabled or self._worker is None:
            return
        warmer = self._warmer = self._warmer_of(self._worker)
        self._warming = threading.Thread(
            target=warmer.serve, args=(self._stop,), name="warm-up", daemon=True
        )
        self._warming.start()

    def warm_now(self, worker: Worker, stop: threading.Event) -> None:
        """Fetch what the worker's runs will need, before anything else goes on."""
        if self.config.warmup.enabled:
            self._warmer = self._warmer_of(worker)
            self._warmer.warm(stop)

    def _warmer_of(self, worker: Worker) -> Warmer:
        settings = self.config.warmup
        return Warmer(
            self.services,
            worker.programs,
            self.playbooks,
            Budget(settings.within, settings.memory),
            self._give_way,
        )

    def _stop_warming(self) -> None:
        if self._warming is not None:
            self._warming.join(PATIENCE)

    def warmed(self) -> JsonObject | None:
        """What this process fetched ahead, and how often it helped; None: it does not warm up."""
        return None if self._warmer is None else self._warmer.report()
