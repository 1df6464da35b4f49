"""What plugin authors rely on: the action contract, the world, the registry. Nothing else of the engine."""

from engine.contract.action import (
    Action,
    ActionParams,
    Applied,
    CannotTell,
    Change,
    Confirmation,
    Grant,
    NotApplied,
    Notify,
    NotYet,
    Protection,
    Read,
    Wrong,
)
from engine.contract.world import ConnectionKind, Opening, SecretRef, World
from engine.domain.errors import ActionFailed, Category, Unplannable
from engine.domain.plan import Planned, Receipt, Target, Unknown

__all__ = [
    "Action",
    "ActionFailed",
    "ActionParams",
    "Applied",
    "CannotTell",
    "Category",
    "Change",
    "Confirmation",
    "ConnectionKind",
    "Grant",
    "NotApplied",
    "NotYet",
    "Notify",
    "Opening",
    "Planned",
    "Protection",
    "Read",
    "Receipt",
    "SecretRef",
    "Target",
    "Unknown",
    "Unplannable",
    "World",
    "Wrong",
]
