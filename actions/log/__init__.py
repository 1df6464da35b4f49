"""The decisions log: one line a decision, once."""

from actions.log.decision import LogDecision
from actions.log.file import DecisionsKind

DECLARATIONS = (DecisionsKind, LogDecision)

__all__ = ["DECLARATIONS", "DecisionsKind", "LogDecision"]
