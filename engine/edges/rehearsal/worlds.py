"""The connections of a rehearsal: each name's real kind, opened over a world that stands for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from engine.contract.registry import Registry
from engine.contract.world import PERSONAL, ConnectionKind, Opening, SecretRef
from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.domain.plan import Target
from engine.domain.rehearsed import RehearsedWorld, Scene, Unanswered
from engine.edges.config import Config
from engine.edges.rehearsal.answers import ANSWERS, AnsweredWorld, is_answers
from engine.running.world import Connection


class Rehearsed(ConnectionKind):
    """A connection's own kind over a rehearsal's world: the real client, no network."""

    def __init__(self, real: ConnectionKind, world: RehearsedWorld) -> None:
        self.kind = real.kind  # type: ignore[misc]  # each instance stands for its own kind
        self._real = real
        self._world = world

    def open(self, opening: Opening) -> Any:
        if isinstance(self._world, AnsweredWorld):
            return self._world  # no client: its actions are never asked
        transport = self._world.transport(writable=opening.writable)
        return self._real.open(replace(opening, transport=transport))

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        return self._real.refuses(settings, target)

    def check(self, client: Any) -> Mapping[str, str]:
        return self._real.check(client)

    def warm(self, client: Any, wanted: Sequence[JsonObject]) -> int:
        return 0 if client is self._world else self._real.warm(client, wanted)

    def close(self, client: Any) -> None:
        if client is not self._world:
            self._real.close(client)


class Missing(ConnectionKind):
    """A connection that the rehearsal does not name: whoever asks for it is told so."""

    def __init__(self, real: ConnectionKind, unanswered: list[str]) -> None:
        self.kind = real.kind  # type: ignore[misc]  # as above
        self._real = real
        self._unanswered = unanswered

    def open(self, opening: Opening) -> Any:
        self._unanswered.append(f"{opening.name}: the rehearsal's world: holds no such connection")
        raise Unanswered(opening.name, "anything: the rehearsal's world: does not hold it")

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        return self._real.refuses(settings, target)


@dataclass
class Worlds:
    """The worlds of one rehearsal by connection, and what nobody could answer."""

    connections: dict[str, Connection]
    worlds: dict[str, RehearsedWorld]
    strays: list[str]

    def close(self) -> None:
        for world in self.worlds.values():
            world.close()


def build_worlds(
    given: Mapping[str, Any],
    config: Config,
    registry: Registry,
    scene: Callable[[str], Scene],
) -> Worlds:
    """Build the world of every configured connection.

    Args:
        given: the rehearsal's `world:`.
        scene: makes the scene of a connection.

    Raises:
        InvalidInput: an entry cannot be used.
    """
    made = Worlds({}, {}, [])
    try:
        for name, kind_name in config.kinds.items():
            kind = registry.kinds[kind_name]
            if not kind.outside and name not in given:
                made.connections[name] = _connection(
                    name, kind, _settings(name, kind, config), config
                )
                continue
            world = _world(name, kind, given, scene)
            if world is None:
                missing = Missing(kind, made.strays)
                made.connections[name] = _connection(
                    name, missing, _settings(name, kind, config), config
                )
                continue
            made.worlds[name] = world
            settings = _settings(name, kind, config, world.settings())
            made.connections[name] = _connection(name, Rehearsed(kind, world), settings, config)
    except BaseException:
        made.close()
        raise
    return made


def _connection(name: str, kind: ConnectionKind, settings: BaseModel, config: Config) -> Connection:
    """A connection with the data class that is configured, so that a rehearsal masks what is masked."""
    return Connection(name, kind, settings, PERSONAL if name in config.personal else "internal")


def _world(
    name: str, kind: ConnectionKind, given: Mapping[str, Any], scene: Callable[[str], Scene]
) -> RehearsedWorld | None:
    from worlds.rehearsal.kinds import MUST, offer_of

    offer = offer_of(kind.kind, given.get(name))
    if name not in given and (offer is None or offer.unasked is MUST):
        return None
    if is_answers(given.get(name)):
        return AnsweredWorld(read_world(kind.kind, name, given[name]), scene(name))
    if offer is not None:
        entry = given.get(name, offer.unasked)
        return offer.make(read_world(kind.kind, name, entry), scene(name))
    world = kind.rehearse(given[name], scene(name))
    if world is None:
        raise InvalidInput(
            f"world {name}: connections of kind {kind.kind} have no world of their own; "
            "write {answers: […]}, what their actions return"
        )
    return world


def reader_of(kind: str, entry: Any) -> TypeAdapter[Any] | None:
    """Return what reads an entry of `world:` for a kind of connection; None: its plugin does."""
    from worlds.rehearsal.kinds import offer_of

    if is_answers(entry):
        return ANSWERS
    offer = offer_of(kind, entry)
    return None if offer is None else offer.reader()


def read_world(kind: str, name: str, entry: Any) -> Any:
    """Read an entry of `world:`.

    Raises:
        InvalidInput: the first thing that is wrong with it.
    """
    reader = reader_of(kind, entry)
    if reader is None:
        return entry
    try:
        return reader.validate_python(entry)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidInput(f"world {name}: {where}: {first['msg']}") from None


def _settings(
    name: str, kind: ConnectionKind, config: Config, instead: Mapping[str, Any] | None = None
) -> BaseModel:
    """The configured settings (allow-lists above all) with the world's own in their place."""
    configured = config.connections.get(name)
    if configured is None:
        return kind.Settings.model_validate({"path": str(config.decisions_log), **(instead or {})})
    if not instead:
        return configured.settings
    merged = {**configured.settings.model_dump(exclude_unset=True), **instead}
    return kind.Settings.model_validate(
        {field: value for field, value in merged.items() if value is not None}
    )


def placeholder(reference: SecretRef) -> str:
    """What stands for a secret in a rehearsal: no real one is ever read."""
    return f"rehearsed-{reference.env or (reference.file.name if reference.file else '')}"
