"""The world as a step sees it: clients of named connections, guarded by their allow-lists."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from engine.contract.ports import (
    NO_PORTS,
    ChatPort,
    IncidentPort,
    Ports,
    ReadOnlyChat,
    ReadOnlyIncident,
)
from engine.contract.registry import Registry
from engine.contract.world import PERSONAL, ConnectionKind, Grant, Opening, SecretRef
from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import Clock
from engine.domain.errors import ActionFailed, Category
from engine.domain.plan import Planned, Target
from engine.planning.scope import without_marks
from engine.running.kept import CONNECTION, Tally
from engine.running.secrets import Secrets

C = TypeVar("C")


@dataclass(frozen=True)
class Connection:
    """One connection of the configuration, checked."""

    name: str
    kind: ConnectionKind
    settings: BaseModel
    data_class: str = "internal"


@dataclass(frozen=True)
class StepWorld:
    """Implements `engine.contract.World` for one attempt."""

    connections: Connections
    writable: bool
    earlier: Sequence[Planned] = ()
    deadline: float | None = None  # on the clock's monotonic time
    stopping: Callable[[], bool] = field(default=lambda: False)
    report: Callable[[int, int | None, str], None] = field(
        default=lambda _done, _total, _text: None
    )
    ports: Ports = NO_PORTS
    overriding: bool = False

    @property
    def clock(self) -> Clock:
        return self.connections.clock

    @property
    def chat(self) -> ChatPort:
        return self.ports.chat if self.writable else ReadOnlyChat(self.ports.chat)

    @property
    def incident(self) -> IncidentPort:
        return self.ports.incident if self.writable else ReadOnlyIncident(self.ports.incident)

    def cancelled(self) -> bool:
        late = self.deadline is not None and self.clock.monotonic() >= self.deadline
        return late or self.stopping()

    def client(self, connection: str, kind: type[C]) -> C:
        return self.connections.client(connection, kind, writable=self.writable)

    def progress(self, done: int, total: int | None, text: str = "") -> None:
        self.report(done, total, text)


class Connections:
    """Opens each connection once for reading and once for writing. Implements `planning.Worlds`."""

    def __init__(
        self,
        registry: Registry,
        configured: Mapping[str, Connection],
        secrets: Secrets,
        clock: Clock,
        reference: Callable[[SecretRef], str],
    ) -> None:
        self.clock = clock
        self._registry = registry
        self._configured = dict(configured)
        self._secrets = secrets
        self._reference = reference
        self._clients: dict[tuple[str, bool], Any] = {}
        self._doors: dict[tuple[str, bool], threading.Lock] = {}
        self._lock = threading.Lock()
        self.tally = Tally()

    @property
    def names(self) -> Mapping[str, str]:
        """Connection names to their kinds."""
        return {name: item.kind.kind for name, item in self._configured.items()}

    @property
    def personal(self) -> frozenset[str]:
        """The connections whose data is of people."""
        found = self._configured.items()
        return frozenset(name for name, item in found if item.data_class == PERSONAL)

    def get(self, name: str) -> Connection:
        """Raises ActionFailed (configuration) where there is no such connection."""
        try:
            return self._configured[name]
        except KeyError:
            known = ", ".join(sorted(self._configured)) or "none"
            raise ActionFailed(
                Category.CONFIGURATION,
                f"there is no connection {name!r}; configured are: {known}",
                effect_possible=False,
            ) from None

    def client(self, name: str, kind: type[C], *, writable: bool) -> C:
        """Return the one client of this connection and writability, opened on first use at the latest."""
        connection = self.get(name)
        client = self._clients.get((name, writable))
        self.tally.used(CONNECTION, client is not None)
        if client is None:
            client = self._opened(connection, writable=writable)
        if not isinstance(client, kind):
            raise ActionFailed(
                Category.CONFIGURATION,
                f"connection {name!r} is of kind {connection.kind.kind}, not what this action needs",
                effect_possible=False,
            )
        return client

    def _opened(self, connection: Connection, *, writable: bool) -> Any:
        key = (connection.name, writable)
        with self._lock:
            door = self._doors.setdefault(key, threading.Lock())
        with door:  # its own: a system that is slow to open keeps nobody from the others
            client = self._clients.get(key)
            if client is None:
                opening = Opening(
                    connection.name,
                    connection.settings,
                    writable,
                    self.clock,
                    self._secret(connection.name),
                    used=self.tally.used,
                    personal=connection.data_class == PERSONAL,
                )
                client = self._clients[key] = connection.kind.open(opening)
        return client

    def warm(self, name: str, wanted: Sequence[JsonObject], *, writable: bool) -> int:
        """Open a connection before a run needs it; see `ConnectionKind.warm`. Counts as no use.

        Raises:
            ActionFailed: it cannot be opened, or the system does not answer.
        """
        connection = self.get(name)
        return connection.kind.warm(self._opened(connection, writable=writable), wanted)

    def world(
        self,
        *,
        writable: bool,
        earlier: Sequence[Planned] = (),
        timeout: float | None = None,
        stopping: Callable[[], bool] = lambda: False,
        ports: Ports = NO_PORTS,
        overriding: bool = False,
    ) -> StepWorld:
        deadline = None if timeout is None else self.clock.monotonic() + timeout
        return StepWorld(
            self, writable, earlier, deadline, stopping, ports=ports, overriding=overriding
        )

    def namespace(self, target: Target) -> str | None:
        """Return the namespace that a target lies in, where its system has namespaces."""
        return self.get(target.connection).kind.namespace(target)

    def refusal(self, target: Target) -> str | None:
        connection = self.get(target.connection)
        reason = connection.kind.refuses(connection.settings, target)
        if reason is None:
            return None
        return f"connection {target.connection!r} does not allow {target.path}: {reason}"

    def reveal(self, value: Json) -> Json:
        return self._secrets.reveal(value)

    def receive(self, value: Json) -> Json:
        return self._secrets.redact(without_marks(value))

    def reveal_planned(self, planned: Planned) -> Planned:
        return self._secrets.reveal_planned(planned)

    def redact_planned(self, planned: Planned) -> Planned:
        return self._secrets.redact_planned(planned)

    def redact(self, value: Json) -> Json:
        return self._secrets.redact(value)

    def query(self, connection: str, query: str, params: Mapping[str, Any]) -> float | None:
        """Return the value of a metrics query, None where it is empty.

        A connection kind takes part in `query:` by having an action `KIND.query` whose output holds `value`.

        Raises:
            ActionFailed: the query failed.
        """
        kind = self.get(connection).kind.kind
        action = self._registry.action(f"{kind}.query")
        given = {"connection": connection, "query": query, "params": dict(params)}
        output = cast(Any, action).read(
            action.Params.model_validate(given), self.world(writable=False)
        )
        value = output["value"]
        return None if value is None else float(value)

    def check(self, name: str) -> Mapping[str, str]:
        """Ask the system behind a connection whether it answers (`stanch doctor`)."""
        connection = self.get(name)
        client: Any = self.client(name, object, writable=False)
        return connection.kind.check(client)

    def grant_text(self, name: str, grants: Sequence[Grant], user: str) -> str:
        """Return rights at a connection as an administrator applies them."""
        connection = self.get(name)
        return connection.kind.grant_text(connection.settings, grants, user)

    def close(self) -> None:
        with self._lock:
            clients, self._clients = self._clients, {}
        for (name, _), client in clients.items():
            self._configured[name].kind.close(client)

    def _secret(self, connection: str) -> Callable[[Any], str]:
        def resolve(reference: Any) -> str:
            return self._secrets.learn(f"{connection} connection", self._reference(reference))

        return resolve
