"""What stands beside the journal and is kept for a time only. The journal's own entries are kept for ever."""

from __future__ import annotations

from datetime import timedelta

from engine.journal.store import Tx
from engine.language.program import LONGEST_ONCE
from engine.running.measuring import KEPT
from engine.running.services import Retention


def forget(tx: Tx, retention: Retention) -> None:
    """Forget some of what is older than is kept; asked again and again, it forgets all.

    Measures are kept for 7 days, what batches did for as long as any `once` reaches back, before-images and
    artifacts as configured.
    """
    now = tx.now()
    tx.measures.prune(now - KEPT)
    tx.done_items.prune(now - timedelta(seconds=LONGEST_ONCE))
    if retention.images is not None:
        tx.blobs.prune_images(now - timedelta(seconds=retention.images))
    if retention.artifacts is not None:
        tx.artifacts.prune(now - timedelta(seconds=retention.artifacts))
