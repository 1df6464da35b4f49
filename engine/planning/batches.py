"""How far a run's batches are: the items of each foreach, what became of them, and when it may be over."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.planning.progress import RunProgress, StepState, StepStatus

_ERRORS = 5  # errors that are told of a batch


def batches_of(progress: RunProgress, now: datetime) -> list[JsonObject]:
    """Return a line for each foreach that has begun, in the order of their beginning.

    `total`, `done` (succeeded, skipped and undone ones too), `failed`, `under_way` and `waiting` are items;
    `progress` is the share that is over, from 0 to 1. `eta` are the seconds that the rest will take at the
    pace so far; null before the first item is over, and at the end. `errors` counts failed items by category,
    `first_errors` names some of them.
    """
    return [
        _line(progress, address, state, now)
        for address, state in progress.steps.items()
        if "items" in state.data and isinstance(state.data["items"], list)
    ]


def _line(progress: RunProgress, address: str, state: StepState, now: datetime) -> JsonObject:
    items = [
        (str(item["key"]), progress.steps.get(f"{address}[{item['key']}]"))
        for item in state.data["items"]
    ]
    begun = [(key, one) for key, one in items if one is not None]
    failed = [(key, one) for key, one in begun if one.status is StepStatus.FAILED]
    over = sum(not one.is_open for _, one in begun)
    under_way = len(begun) - over
    total = len(items)
    # A foreach whose items were tolerated or stopped closes with items that were never begun.
    rest = total - over if state.is_open else 0
    elapsed = (now - state.started_at).total_seconds() if state.started_at else 0.0
    return {
        "step": address,
        "state": state.status.value,
        "over": not state.is_open,
        "total": total,
        "done": over - len(failed),
        "failed": len(failed),
        "under_way": under_way,
        "waiting": rest - under_way if state.is_open else 0,
        "progress": round(over / total, 4) if total else 1.0,
        "started_at": format_time(state.started_at) if state.started_at else None,
        "eta": round(max(elapsed, 0.0) / over * rest, 1) if over and rest else None,
        "errors": dict(
            Counter(one.category.value if one.category else "unclassified" for _, one in failed)
        ),
        "first_errors": [
            {"key": key, "message": one.message[:200]} for key, one in failed[:_ERRORS]
        ],
    }
