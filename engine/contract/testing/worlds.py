"""A world for one action under test: real clients, a moved clock, read-only until it is told to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from engine.contract.ports import ChatPort, IncidentPort, Ports, ReadOnlyChat, ReadOnlyIncident
from engine.contract.world import ConnectionKind, Opening, SecretRef
from engine.domain.clock import Clock, SystemClock
from engine.domain.errors import ActionFailed, Category
from engine.domain.plan import Planned

C = TypeVar("C")


def resolve(secrets: Mapping[str, str], reference: SecretRef) -> str:
    """Resolve a reference as the engine does: from the environment given here, or from a file."""
    if reference.file is not None:
        return Path(reference.file).read_text().strip()
    try:
        return secrets[str(reference.env)]
    except KeyError:
        what = f"environment variable {reference.env} is not set"
        raise ActionFailed(Category.CONFIGURATION, what, effect_possible=False) from None


@dataclass
class Connections:
    """Named connections of a test and their open clients, one for reading and one for writing.

    Args:
        settings: by name, a kind and its settings as the configuration would write them.
        secrets: what `{env: NAME}` resolves to.
    """

    settings: Mapping[str, tuple[ConnectionKind, Mapping[str, Any]]]
    secrets: Mapping[str, str] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)
    ports: Ports = field(default_factory=Ports)
    personal: bool = False
    _open: dict[tuple[str, bool], tuple[ConnectionKind, Any]] = field(default_factory=dict)

    def checked(self, name: str) -> BaseModel:
        kind, raw = self.settings[name]
        return kind.Settings.model_validate(raw)

    def client(self, name: str, writable: bool) -> Any:
        if (name, writable) not in self._open:
            kind, _ = self.settings[name]
            opening = Opening(
                name,
                self.checked(name),
                writable,
                self.clock,
                lambda ref: resolve(self.secrets, ref),
                personal=self.personal,
            )
            self._open[name, writable] = (kind, kind.open(opening))
        return self._open[name, writable][1]

    def close(self) -> None:
        for kind, client in self._open.values():
            kind.close(client)
        self._open.clear()

    def reading(self, earlier: Sequence[Planned] = ()) -> OneWorld:
        return OneWorld(self, writable=False, earlier=tuple(earlier))

    def writing(self, earlier: Sequence[Planned] = ()) -> OneWorld:
        return OneWorld(self, writable=True, earlier=tuple(earlier))


@dataclass
class OneWorld:
    """One attempt's view of the connections."""

    connections: Connections
    writable: bool
    earlier: tuple[Planned, ...] = ()
    overriding: bool = False

    @property
    def clock(self) -> Clock:
        return self.connections.clock

    @property
    def chat(self) -> ChatPort:
        chat = self.connections.ports.chat
        return chat if self.writable else ReadOnlyChat(chat)

    @property
    def incident(self) -> IncidentPort:
        incident = self.connections.ports.incident
        return incident if self.writable else ReadOnlyIncident(incident)

    def cancelled(self) -> bool:
        return False

    def client(self, connection: str, kind: type[C]) -> C:
        client = self.connections.client(connection, self.writable)
        if not isinstance(client, kind):
            what = f"connection {connection!r} is no {kind.__name__}"
            raise ActionFailed(Category.CONFIGURATION, what, effect_possible=False)
        return client

    def progress(self, done: int, total: int | None, text: str = "") -> None:
        del done, total, text
