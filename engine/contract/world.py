"""What an action may ask of the world: clients of named connections, the clock, its place in the plan."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, model_validator

from engine.contract.ports import ChatPort, IncidentPort
from engine.domain.canonical import JsonObject
from engine.domain.clock import Clock
from engine.domain.plan import Planned, Target
from engine.domain.rehearsed import RehearsedWorld, Scene

C = TypeVar("C")

PERSONAL = "personal"
"""The data class of a connection that holds data of people: its values are not shown to many readers."""

OWN = frozenset({"kind", "data_class"})
"""What the engine itself reads of a connection; no kind's `Settings` may have a field of that name."""


def _uncounted(what: str, there: bool) -> None:
    del what, there


class SecretRef(BaseModel):
    """Where a secret stands: `{env: NAME}` or `{file: path}`. Never the secret itself.

    Raises:
        ValueError: neither or both are given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    conceals: ClassVar[bool] = True  # messages about it never show what was written instead

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if bool(self.env) == bool(self.file):
            raise ValueError(
                "a secret is a reference: write {env: NAME} or {file: path}, one of them"
            )
        return self

    def __str__(self) -> str:
        return f"env {self.env}" if self.env else f"file {self.file}"


class World(Protocol):
    """Everything outside, as one attempt of one step sees it.

    Attributes:
        clock: the engine's clock; never the system's own.
        writable: False while reading and planning: clients then let no write through.
        earlier: the run's changes that are planned before this one and not yet applied, oldest
            first. An action chains its `before` on those of the same target.
        overriding: while undoing: a person said to restore also what others changed since.
        cancelled: true once the attempt should give up (time-out, shutdown); long calls ask it.
    """

    @property
    def clock(self) -> Clock: ...

    @property
    def writable(self) -> bool: ...

    @property
    def earlier(self) -> Sequence[Planned]: ...

    @property
    def chat(self) -> ChatPort:
        """The chat that people read; in a world that is not writable it posts nothing."""
        ...

    @property
    def incident(self) -> IncidentPort:
        """The run's incident; in a world that is not writable it can only be asked."""
        ...

    @property
    def overriding(self) -> bool: ...

    def cancelled(self) -> bool: ...

    def client(self, connection: str, kind: type[C]) -> C:
        """Return the client of the named connection.

        Raises:
            ActionFailed: (configuration) no such connection, another kind, or it cannot be opened.
        """
        ...

    def progress(self, done: int, total: int | None, text: str = "") -> None:
        """Report progress of long work; cheap, may be dropped."""
        ...


@dataclass(frozen=True)
class Grant:
    """One right that an action needs at its target.

    Attributes:
        kind: `kubernetes`, `sql`, `s3`, `http` …
        detail: for kubernetes `{verbs, group, resource, namespace}`; for sql `{privilege, on}`;
            for s3 `{action, resource}`.
    """

    connection: str
    kind: str
    detail: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class Opening:
    """How a client is to be opened.

    Attributes:
        name: the connection's name in the configuration.
        settings: the kind's own `Settings`, already checked.
        writable: False: the client must let no write through (DESIGN 6, "Read-only worlds").
        secret: resolves a secret reference of the settings (`{env: NAME}`, `{file: path}`) to its text.
        transport: what carries the client's requests instead of the network, in the form that the kind
            documents; None outside rehearsals.
        used: told when the client needs something that it keeps, such as `discovery`: what, and whether it
            was there already. Counted as hits and misses.
        personal: the connection holds data of people: messages of errors, which everybody reads, are to be
            without values where the system puts some into them.
    """

    name: str
    settings: BaseModel
    writable: bool
    clock: Clock
    secret: Callable[[SecretRef], str]
    transport: Any = None
    used: Callable[[str, bool], None] = _uncounted
    personal: bool = False


class ConnectionKind(ABC):
    """One kind of connection (`kubernetes`, `postgres` …): its settings, its client, its allow-list."""

    kind: ClassVar[str]
    Settings: ClassVar[type[BaseModel]]
    outside: ClassVar[bool] = True
    """Whether it leads to a system outside. Where it does not (it reads files that belong to the
    configuration), rehearsals use the connection as it is and ask for no world."""

    @abstractmethod
    def open(self, opening: Opening) -> Any:
        """Return a client. Called lazily, once a connection and writability; clients are thread-safe."""

    @abstractmethod
    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        """Return why the connection's target allow-list forbids `target`, or None where it is allowed.

        The engine asks before it plans and again before it applies, whatever the inputs say.
        """

    def rehearse(self, spec: Any, scene: Scene) -> RehearsedWorld | None:
        """Return the world that a rehearsal's `world:` entry describes, or None: it has none of its own.

        Where the product ships a world for the kind, that one is used. A connection that has neither is
        rehearsed by `answers:`, what its actions return.

        Raises:
            InvalidInput: the entry cannot be used; the message says why.
        """
        del spec, scene
        return None

    def namespace(self, target: Target) -> str | None:
        """Return the namespace that a target lies in, for roles that reach some namespaces only.

        None: the system has none, or the target lies in none.
        """
        del target
        return None

    def check(self, client: Any) -> Mapping[str, str]:
        """Ask the system whether it answers (`stanch doctor`). Returns facts such as its version.

        Raises:
            ActionFailed: it does not; the message says how to mend it.
        """
        del client
        return {}

    def warm(self, client: Any, wanted: Sequence[JsonObject]) -> int:
        """Fetch ahead what the client's first use would fetch: a socket, what the system says of its kinds.

        Only what cannot lie later may be kept; nothing that an action reads or plans on.

        Args:
            wanted: parameters that runs of the last days gave to the connection's actions, the most used
                first; templates may stand in them.

        Returns:
            How many documents are now kept.

        Raises:
            ActionFailed: the system does not answer. Nobody is kept waiting by it.
        """
        del client, wanted
        return 0

    def grant_text(self, settings: BaseModel, grants: Sequence[Grant], user: str) -> str:
        """Return what an administrator applies so that `user` has exactly these rights: a manifest, a
        policy, statements. `stanch grants` prints it; the default is one line a right."""
        del settings, user
        lines = (
            f"{grant.kind}: {' '.join(f'{key}={value}' for key, value in grant.detail.items())}\n"
            for grant in grants
        )
        return "".join(dict.fromkeys(lines))

    def close(self, client: Any) -> None:
        """Let go of the client's sockets."""
        del client
