"""What carrying one move out came to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Progressed:
    """Something was journalled; walk again."""


@dataclass(frozen=True)
class Parked:
    """Nothing to do before `wake` (None: before a signal). `why` names the run's state meanwhile."""

    wake: datetime | None
    why: str = "waiting"  # waiting | verifying | approval | held


Carried = Progressed | Parked
PROGRESSED = Progressed()
