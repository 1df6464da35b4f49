"""What visiting a node came to."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from engine.domain.run import RunState
from engine.planning.progress import Failure


class Flow(enum.Enum):
    OK = "ok"
    PENDING = "pending"
    FAILED = "failed"
    ENDED = "ended"
    STOPPED = "stopped"  # cancelled, or the run's time is over


@dataclass(frozen=True)
class Verdict:
    flow: Flow
    failure: Failure | None = None
    end: tuple[RunState, str] | None = None


OK = Verdict(Flow.OK)
PENDING = Verdict(Flow.PENDING)
STOPPED = Verdict(Flow.STOPPED)
