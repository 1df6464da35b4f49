"""What a rehearsal's world is made of and asked for: shared by the engine, the shipped worlds and plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from engine.domain.canonical import Json
from engine.domain.clock import Clock
from engine.domain.errors import ActionFailed, Category


@dataclass(frozen=True)
class NetChange:
    """One difference between a world's beginning and its end.

    Attributes:
        target: what differs, as plans name it: `starforge/Deployment/etl-worker`, `public.jobs`.
        fields: the values that differ, by path: before and after. None stands for absent.
        what: `changed`, `created`, `deleted` or `called` (a request that may have written).
        count: how many rows, objects or requests this one line stands for.
    """

    target: str
    fields: Mapping[str, tuple[Json, Json]] = field(default_factory=dict)
    what: str = "changed"
    count: int = 1


@dataclass(frozen=True)
class Message:
    """What people were told. `to` is a channel, an address or a file."""

    at: datetime
    to: str
    text: str


@dataclass(frozen=True)
class Scene:
    """What a world may use while it is built and asked.

    Attributes:
        connection: the name it stands for. clock: the rehearsal's.
        folder: where files that a rehearsal names lie (beside it).
        scratch: an empty folder of this rehearsal alone.
        holds: evaluates an expression of the language over names (a job's `when`).
        done: when a step was done, by its address; None where it was not yet.
        service: starts or finds a shared server by name (`postgres`) and returns its address.
    """

    connection: str
    clock: Clock
    folder: Path
    scratch: Path
    holds: Callable[[str, Mapping[str, Any]], bool]
    done: Callable[[str], datetime | None]
    service: Callable[[str], str]


class RehearsedWorld(Protocol):
    """One connection's world in a rehearsal. The connection kind opens its own client over it."""

    def settings(self) -> Mapping[str, Any]:
        """Settings of the connection that it replaces, such as an address; None takes one away."""
        ...

    def transport(self, *, writable: bool) -> Any:
        """What carries the client's requests (`Opening.transport`); None: its usual way."""
        ...

    def changes(self) -> Sequence[NetChange]:
        """The exact net difference since the beginning."""
        ...

    def messages(self) -> Sequence[Message]: ...

    def unanswered(self) -> Sequence[str]:
        """Calls that it could not answer, each with what it would need."""
        ...

    def unasked(self) -> Sequence[str]:
        """Answers that nobody asked for, those that are optional left out."""
        ...

    def close(self) -> None: ...


class Unanswered(ActionFailed):
    """A call that the rehearsal's world cannot answer."""

    def __init__(self, connection: str, call: str) -> None:
        super().__init__(
            Category.PERMANENT,
            f"the rehearsal's world {connection!r} has no answer to {call}; add one, or let "
            "`stanch record` write it from the real world",
            effect_possible=False,
        )
