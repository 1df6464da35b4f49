"""The exceptions that cross rooms.

StanchError
├── InvalidInput      what a person wrote or sent is wrong; the message says where and what to do
├── NotFound          no such run, gate, incident …; lists near names where it can
├── Refused           policy says no: role missing, gate closed, plan stale, brake on
├── StaleOwner        this worker no longer owns the run; its write was not made
├── StoreUnavailable  the journal cannot be written now; nothing was lost, try again
├── ActionFailed      an action failed, classified by the action itself
└── Unplannable       this change cannot be planned without making it
"""

from __future__ import annotations

import enum


class Category(enum.StrEnum):
    """What kind of failure it was (DESIGN 6): the action says, policy decides what follows."""

    TRANSIENT = "transient"
    RESOURCE = "resource"
    RATE_LIMIT = "rate_limit"
    CONFIGURATION = "configuration"
    DATA = "data"
    PERMANENT = "permanent"
    UNCLASSIFIED = "unclassified"


class StanchError(Exception):
    """Base of every error that Stanch raises on purpose."""


class InvalidInput(StanchError):
    """What a person or a sender wrote is wrong."""


class NotFound(StanchError):
    """No such thing. `near` lists names or ids that may have been meant."""

    def __init__(self, message: str, *, near: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.near = near


class Refused(StanchError):
    """Policy does not allow it now. `missing_role` names the role that would."""

    def __init__(self, message: str, *, missing_role: str | None = None) -> None:
        super().__init__(message)
        self.missing_role = missing_role


class StaleOwner(StanchError):
    """The run was taken over by another owner; the write that found out was not made."""


class StoreUnavailable(StanchError):
    """The journal cannot be reached or written. The caller may try again; nothing was kept."""


class ActionFailed(StanchError):
    """An action's attempt failed.

    Attributes:
        category: what kind of failure, which decides the retry.
        retry_after: seconds after which the other side allows another try, where it said so.
        effect_possible: False only where the action knows that nothing reached the target.
    """

    def __init__(
        self,
        category: Category,
        message: str,
        *,
        retry_after: float | None = None,
        effect_possible: bool = True,
    ) -> None:
        super().__init__(message)
        self.category = category
        self.retry_after = retry_after
        self.effect_possible = effect_possible


class Unplannable(StanchError):
    """The change cannot be planned without making it (DESIGN 6); the message says why and what to use instead."""
