"""A small system with its own plugin, for tests of the engine: a table of values that counts every write.

It is a real connection kind with real actions by the contract; only the system behind it is small.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from engine.contract import (
    ActionFailed,
    ActionParams,
    Applied,
    CannotTell,
    Category,
    Change,
    Confirmation,
    ConnectionKind,
    NotApplied,
    Notify,
    NotYet,
    Opening,
    Planned,
    Protection,
    Read,
    Receipt,
    Target,
    Unplannable,
    World,
)
from engine.contract.registry import Registry
from engine.domain.canonical import Json
from engine.domain.plan import FreshChange


class Table:
    """The system: values by name, the keys of effects that it has seen, and a record of every write."""

    def __init__(self, **values: Json) -> None:
        self.values: dict[str, Json] = dict(values)
        self.keys: set[str] = set()
        self.writes: list[tuple[str, Json]] = []
        self.reads: list[str] = []
        self.said: list[str] = []
        self.faults: list[Exception] = []  # raised before the next writes
        self.after: list[Exception] = []  # raised after the next writes took effect
        self.slow_until: int = 0  # how many confirmations say "not yet"
        self.refuse: set[str] = set()  # names that cannot be written
        self.meddle: dict[
            str, tuple[str, Json]
        ] = {}  # on a write of the name, somebody else writes too
        self.fresh: dict[str, tuple[FreshChange, ...]] = {}  # what others did, by name
        self.opened: list[bool] = []  # clients, each by whether it may write
        self.on_open: Callable[[], None] = lambda: None
        self.on_read: Callable[[], object] = lambda: None
        self.lock = threading.Lock()

    def read(self, name: str) -> Json:
        self.on_read()
        with self.lock:
            self.reads.append(name)
            return self.values.get(name)

    def write(self, name: str, value: Json, key: str) -> None:
        with self.lock:
            if self.faults:
                raise self.faults.pop(0)
            if name in self.meddle:
                other, theirs = self.meddle.pop(name)
                self.values[other] = theirs
            if name in self.refuse:
                raise ActionFailed(Category.PERMANENT, f"{name} is refused", effect_possible=False)
            self.values[name] = value
            self.writes.append((name, value))
            self.keys.add(key)
            if self.after:
                raise self.after.pop(0)


class ToySettings(BaseModel):
    allow: list[str] = []


class Client:
    def __init__(self, table: Table, *, writable: bool) -> None:
        self.table = table
        self.writable = writable

    def write(self, name: str, value: Json, key: str) -> None:
        if not self.writable:
            raise AssertionError("a read-only client was asked to write")
        self.table.write(name, value, key)


class ToyKind(ConnectionKind):
    kind = "toy"
    Settings = ToySettings
    table: ClassVar[Table]

    def open(self, opening: Opening) -> Client:
        self.table.on_open()
        self.table.opened.append(opening.writable)
        return Client(self.table, writable=opening.writable)

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        assert isinstance(settings, ToySettings)
        if settings.allow and target.path not in settings.allow:
            return f"only {', '.join(settings.allow)}"
        return None


class NameParams(ActionParams):
    connection: str = Field(default="toy", description="connection")
    name: str = Field(description="which value")


class SetParams(NameParams):
    value: Any = Field(description="the new value")
    pods: int = Field(default=0, description="what it costs")


class SayParams(ActionParams):
    connection: str = Field(default="toy", description="connection")
    text: str = Field(description="what to say")


class Get(Read[NameParams]):
    name = "toy.get"
    summary = "Reads a value."
    Params = NameParams

    def targets(self, params: NameParams) -> Sequence[Target]:
        return (Target(params.connection, params.name),)

    def read(self, params: NameParams, world: World) -> Json:
        value = world.client(params.connection, Client).table.read(params.name)
        if value is None:
            raise ActionFailed(Category.PERMANENT, f"there is no value {params.name!r}")
        return {"value": value}


class QueryParams(ActionParams):
    connection: str = Field(default="toy", description="connection")
    query: str = Field(description="a value's name")
    params: dict[str, Any] = Field(default={}, description="unused")


class QueryToy(Read[QueryParams]):
    """What `query:` of a rule or a step asks."""

    name = "toy.query"
    summary = "Reads a number."
    Params = QueryParams

    def read(self, params: QueryParams, world: World) -> Json:
        return {"value": world.client(params.connection, Client).table.read(params.query)}


class Set(Change[SetParams]):
    name = "toy.set"
    summary = "Sets a value under the condition that it is what it was."
    Params = SetParams
    protection = Protection.CONDITIONAL

    def targets(self, params: SetParams) -> Sequence[Target]:
        return (Target(params.connection, params.name),)

    def plan(self, params: SetParams, world: World) -> Planned:
        if params.value == "unplannable":
            raise Unplannable("this value cannot be planned")
        target = Target(params.connection, params.name)
        before = world.client(params.connection, Client).table.read(params.name)
        for earlier in world.earlier:
            if earlier.target == target:
                before = earlier.after["value"]
        counts = {"pods": params.pods} if params.pods and before != params.value else {}
        return Planned(
            action=self.name,
            target=target,
            before={"value": before},
            after={"value": params.value},
            counts=counts,
            request={"name": params.name, "value": params.value},
            summary=f"{params.name}: {before} to {params.value}",
            fresh_changes=world.client(params.connection, Client).table.fresh.get(params.name, ()),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        client = world.client(planned.target.connection, Client)
        name, value = planned.request["name"], planned.request["value"]
        if key not in client.table.keys:
            now = client.table.values.get(name)
            if now != planned.before["value"]:
                raise ActionFailed(
                    Category.DATA, f"{name} is {now!r} by now", effect_possible=False
                )
            client.write(name, value, key)
        return self._receipt(planned)

    def _receipt(self, planned: Planned) -> Receipt:
        return Receipt(
            after={"value": planned.after["value"]},
            counts=planned.counts,
            before_image={"value": planned.before["value"]},
        )

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        table = world.client(planned.target.connection, Client).table
        if table.slow_until > 0:
            table.slow_until -= 1
            return NotYet(2.0)
        if key in table.keys:
            return Applied(receipt or self._receipt(planned))
        return NotApplied()

    def conflicts(self, planned: Planned, receipt: Receipt, world: World) -> Sequence[str]:
        now = world.client(planned.target.connection, Client).table.read(planned.request["name"])
        for newer in world.earlier:
            if newer.target == planned.target:
                now = newer.after["value"]
        if now == planned.after["value"]:
            return ()
        return [f"value was set to {planned.after['value']!r} and is {now!r} now"]

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        client = world.client(planned.target.connection, Client)
        name = planned.request["name"]
        if key in client.table.keys:
            return Receipt()
        now = client.table.values.get(name)
        if now != planned.after["value"] and not world.overriding:
            raise ActionFailed(
                Category.DATA,
                f"{name} is {now!r}: somebody changed it since",
                effect_possible=False,
            )
        client.write(name, receipt.before_image["value"], key)
        return Receipt(after={"value": receipt.before_image["value"]})


class Push(Set):
    """The same effect without protection: after a crash nobody can tell."""

    name = "toy.push"
    summary = "Adds to a value, unprotected."
    protection = Protection.UNPROTECTED

    def plan(self, params: SetParams, world: World) -> Planned:
        table = world.client(params.connection, Client).table
        before = table.read(params.name) or []
        return Planned(
            action=self.name,
            target=Target(params.connection, params.name),
            before={"value": before},
            after={"value": [*before, params.value]},
            request={"name": params.name, "value": [*before, params.value]},
            reversible=False,
            why_irreversible="what was pushed cannot be taken back",
        )

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        if receipt is not None:
            return Applied(receipt)
        return CannotTell("nothing tells one push from another")


class Say(Notify[SayParams]):
    name = "toy.say"
    summary = "Says something."
    Params = SayParams

    def send(self, params: SayParams, world: World, key: str) -> Json:
        table = world.client(params.connection, Client).table
        with table.lock:
            if key not in table.keys:
                table.said.append(params.text)
                table.keys.add(key)
        return {"said": params.text}

    def sent(self, params: SayParams, world: World, key: str) -> bool | None:
        return key in world.client(params.connection, Client).table.keys


def toy_registry(table: Table) -> Registry:
    """A registry with the toy plugin over `table`."""
    registry = Registry()
    kind = type("BoundToyKind", (ToyKind,), {"table": table})
    for declaration in (kind, Get, QueryToy, Set, Push, Say):
        registry.add("toys", declaration)
    return registry
