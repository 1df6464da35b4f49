"""Journal entries in, progress out: one pure function an entry kind. Replaying a chain rebuilds a run."""

from __future__ import annotations

from datetime import datetime

from engine.domain.canonical import JsonObject
from engine.planning.folds import gates, run, steps
from engine.planning.progress import Fold, RunProgress

_FOLDS: dict[str, Fold] = {**run.FOLDS, **steps.FOLDS, **gates.FOLDS}


def fold(progress: RunProgress, kind: str, body: JsonObject, at: datetime, n: int) -> None:
    """Apply one entry. Kinds that only tell people something change nothing but `n`."""
    progress.n = n
    handler = _FOLDS.get(kind)
    if handler is not None:
        handler(progress, body, at)
