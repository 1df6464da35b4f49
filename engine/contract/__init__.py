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
from engine.contract.ports import (
    ChatPort,
    IncidentPort,
    NoChat,
    NoIncidents,
    Ports,
    ReadOnlyChat,
    ReadOnlyIncident,
)
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
    "IncidentPort",
    "Message",
    "NetChange",
    "NoChat",
    "NoIncidents",
    "NotApplied",
    "NotYet",
    "Notify",
    "Opening",
    "Planned",
    "Ports",
    "Protection",
    "Read",
    "ReadOnlyChat",
    "ReadOnlyIncident",
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
