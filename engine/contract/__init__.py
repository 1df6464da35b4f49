"""What plugin authors rely on: the action contract, the world, the registry. Nothing else of the engine."""

from engine.contract.action import (
    Action,
    ActionParams,
    Applied,
    CannotTell,
    Change,
    Confirmation,
    NotApplied,
    Notify,
    NotYet,
    Protection,
    Read,
    Wrong,
)
from engine.contract.ports import ChatPort, NoChat, Ports, ReadOnlyChat
from engine.contract.world import ConnectionKind, Grant, Opening, SecretRef, World
from engine.domain.errors import ActionFailed, Category, Unplannable
from engine.domain.plan import FreshChange, Planned, Receipt, Target, Unknown
from engine.domain.rehearsed import Message, NetChange, RehearsedWorld, Scene, Unanswered

__all__ = [
    "Action",
    "ActionFailed",
    "ActionParams",
    "Applied",
    "CannotTell",
    "Category",
    "Change",
    "ChatPort",
    "Confirmation",
    "ConnectionKind",
    "FreshChange",
    "Grant",
    "Message",
    "NetChange",
    "NoChat",
    "NotApplied",
    "NotYet",
    "Notify",
    "Opening",
    "Planned",
    "Ports",
    "Protection",
    "Read",
    "ReadOnlyChat",
    "Receipt",
    "RehearsedWorld",
    "Scene",
    "SecretRef",
    "Target",
    "Unanswered",
    "Unknown",
    "Unplannable",
    "World",
    "Wrong",
]
