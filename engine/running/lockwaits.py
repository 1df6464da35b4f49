"""Waiting for locks on targets, and the circles that runs could otherwise wait in until their time-outs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.domain.plan import Target
from engine.journal.rows import RunRow
from engine.journal.store import Tx


@dataclass(frozen=True)
class LockWait:
    """What came of wanting locks that others hold.

    Attributes:
        gives_way: whether the run waits for nothing and must fail, so that the others of its circle go on.
    """

    reason: str
    gives_way: bool = False


def wait_for(tx: Tx, run_id: str, conflicts: Mapping[Target, str]) -> LockWait:
    """Wait for locks; in a circle of runs that wait for one another, the one that gives way does not.

    Where that is another run, it is woken: it asks for its lock again, finds the same circle, and fails.

    Args:
        conflicts: the targets and who holds them, as `locks.acquire` told.
    """
    target, holder = min(conflicts.items())
    text = f"{target} is locked by {holder}"
    circle = tx.locks.circle(run_id, sorted(conflicts))
    if circle:
        gives_way = who_gives_way([row for row in map(tx.runs.get, circle) if row is not None])
        if gives_way == run_id:
            tx.locks.stop_waiting(run_id)
            others = ", then ".join([*circle[1:], run_id])
            text += (
                f", and they wait in a circle: {run_id} for {others}. This run gives way "
                "(of lower priority, or the younger), so that the others go on; start it again later"
            )
            return LockWait(text, gives_way=True)
        tx.runs.wake(gives_way)
    tx.locks.wait(run_id, sorted(conflicts))
    return LockWait(text)


def who_gives_way(circle: Sequence[RunRow]) -> str:
    """Return the run of a circle that gives way: of the lowest priority, among those the youngest.

    The same whoever asks, so that two runs of a circle that ask at once agree.
    """
    least = min(row.priority for row in circle)
    minor = [row for row in circle if row.priority == least]
    return max(minor, key=lambda row: (row.created_at, row.id)).id
