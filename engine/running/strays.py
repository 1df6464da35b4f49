"""Runs that a worker owns and does not drive: their claim was kept, and its answer lost on the way."""

from __future__ import annotations

from collections.abc import Collection

from engine.domain.errors import StaleOwner
from engine.journal.store import Tx
from engine.running.crew import Owned


class Strays:
    """Finds such runs, and lets go of those that it has seen twice.

    Once is not enough: a claim that was kept a moment ago is begun a moment later. Should a worker be
    slower still, its run has another owner, and its epoch keeps it from writing.
    """

    def __init__(self) -> None:
        self._seen: frozenset[Owned] = frozenset()

    def let_go(
        self, tx: Tx, worker: str, driven: Collection[Owned]
    ) -> tuple[frozenset[Owned], list[str]]:
        """Make stray runs ready again, for any worker.

        Returns:
            What strays now, for `saw` once the transaction is durable, and which runs were let go.
        """
        strays = frozenset(tx.runs.owned(worker).items()) - frozenset(driven)
        gone = []
        for run_id, epoch in sorted(strays & self._seen):
            try:
                tx.runs.release(run_id, epoch, ready=True)
            except StaleOwner:
                continue
            gone.append(run_id)
        return strays, gone

    def saw(self, strays: frozenset[Owned]) -> None:
        self._seen = strays
