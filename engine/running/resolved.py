"""What a run hears when every alert of its episode has resolved: `on_resolved: verify | note | cancel`."""

from __future__ import annotations

from engine.domain.entry import Entry
from engine.domain.run import ENDS
from engine.journal.store import Tx


def on_resolved(tx: Tx, run_id: str, how: str) -> None:
    """Tell the run, in the transaction that recorded the resolve.

    Args:
        how: `note` records it; `verify` makes open waits and verifications look again now, for
            "resolved" alone proves nothing; `cancel` stops the run and puts temporary changes back.
    """
    row = tx.runs.get(run_id)
    if row is None or row.state in ENDS:
        return
    if how == "cancel":
        body = {"signal": "cancel", "actor": "stanch", "reason": "its alerts have resolved"}
    else:
        body = {
            "signal": "resolved",
            "actor": "stanch",
            "how": how,
            "reason": "its alerts have resolved",
        }
    tx.journal.append(run_id, [Entry("run.signal", body)])
    tx.runs.wake(run_id)
