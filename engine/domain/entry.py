"""A journal entry before it is chained: what happened, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from engine.domain.canonical import JsonObject


@dataclass(frozen=True)
class Entry:
    """One fact to be journalled.

    Attributes:
        kind: dotted name such as `step.intent` or `gate.opened`; the views switch on it.
        body: JSON; never a secret, never a before-image (their digests only).
    """

    kind: str
    body: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class StoredEntry:
    """An entry as the journal holds it: the `n`th of its chain, chained to the one before by `hash`."""

    chain: str
    n: int
    at: datetime
    kind: str
    body: JsonObject
    hash: str
