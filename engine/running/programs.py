"""Frozen programs by digest: parsed once a text, and ahead of their first run where warm-up asks for it."""

from __future__ import annotations

import threading
from collections import OrderedDict

from engine.domain.errors import NotFound
from engine.journal.store import Store
from engine.language.program import Program
from engine.running.kept import PLAYBOOK, Tally

MOST = 512  # programs; the one that was used longest ago goes first


class Programs:
    """Safe to share between threads. What a digest names never changes, so nothing here can be stale."""

    def __init__(self, store: Store, tally: Tally) -> None:
        self._store = store
        self._tally = tally
        self._kept: OrderedDict[str, Program] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: str) -> Program:
        """Return a run's program.

        Raises:
            NotFound: the journal does not hold it. StoreUnavailable.
        """
        with self._lock:
            program = self._kept.get(digest)
            if program is not None:
                self._kept.move_to_end(digest)
        self._tally.used(PLAYBOOK, program is not None)
        return program or self._keep(digest, self._read(digest))

    def ahead(self, program: Program) -> Program:
        """Keep a loaded playbook as runs will find it: read back from its frozen text."""
        digest = program.frozen_digest
        with self._lock:
            kept = self._kept.get(digest)
        return kept or self._keep(digest, Program.model_validate_json(program.frozen_text))

    def _read(self, digest: str) -> Program:
        text = self._store.read(lambda tx: tx.blobs.program(digest))
        if text is None:
            raise NotFound(f"the frozen playbook {digest[:12]} is not in the journal")
        return Program.model_validate_json(text)

    def _keep(self, digest: str, program: Program) -> Program:
        with self._lock:
            self._kept[digest] = program
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return program
