"""When a run pages people: it needs a person, or it is urgent and waits for another's lock."""

from __future__ import annotations

from engine.domain.incident import PRIORITIES
from engine.journal.rows import CRITICAL, EMERGENCY, WARNING, RunRow
from engine.journal.store import Tx


def level_of(priority: int) -> str:
    """Return the level of a run's pages: P0 is an emergency, P1 critical."""
    if priority >= PRIORITIES["P0"]:
        return EMERGENCY
    return CRITICAL if priority >= PRIORITIES["P1"] else WARNING


def needs_human(tx: Tx, row: RunRow, reason: str) -> None:
    """A run stays until a person decides: somebody is told until somebody has seen it."""
    level = level_of(row.priority)
    if level == WARNING:
        level = CRITICAL  # it is half done, whatever it was worth when it began
    text = f"run {row.id} of {row.playbook} needs a person: {reason}"
    tx.pages.open(f"run:{row.id}", text, level, run_id=row.id, incident_id=row.incident_id)


def held_for_others(tx: Tx, row: RunRow, reason: str) -> None:
    """An automatic run is held because somebody else is at its target: a person has to look."""
    text = f"run {row.id} of {row.playbook} is held: {reason}"
    level = level_of(row.priority)
    tx.pages.open(f"fresh:{row.id}", text, level, run_id=row.id, incident_id=row.incident_id)


def urgent_waits(tx: Tx, row: RunRow, reason: str) -> None:
    """A P0 that meets a lock: a person may pre-empt the holder."""
    if row.priority < PRIORITIES["P0"]:
        return
    text = (
        f"run {row.id} of {row.playbook} is P0 and waits: {reason}; "
        f"stanch preempt {row.id} takes the lock from its holder"
    )
    tx.pages.open(f"lock:{row.id}", text, EMERGENCY, run_id=row.id, incident_id=row.incident_id)
