"""How often what is kept for runs was there when one needed it."""

from __future__ import annotations

import threading
from collections import Counter

CONNECTION = "connection"
PLAYBOOK = "playbook"
DISCOVERY = "discovery"  # what a system says of its own kinds


class Tally:
    """Counts uses by what was needed and whether it was there already. Safe to share between threads."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, bool]] = Counter()
        self._lock = threading.Lock()

    def used(self, what: str, there: bool) -> None:
        """Count one use; `there`: nothing had to be fetched for it."""
        with self._lock:
            self._counts[what, there] += 1

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return (hits, misses) by what was used."""
        with self._lock:
            counts = Counter(self._counts)
        names = sorted({what for what, _ in counts} | {CONNECTION, PLAYBOOK, DISCOVERY})
        return {name: (counts[name, True], counts[name, False]) for name in names}
