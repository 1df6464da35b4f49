"""Which kinds of connection have a world that ships with the product."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from engine.domain.rehearsed import RehearsedWorld, Scene


@dataclass(frozen=True)
class Offer:
    """A world of one kind.

    Attributes:
        spec: reads an entry of `world:`.
        make: builds the world of a read entry.
        unasked: the entry that stands for a connection which the rehearsal does not name; None: it must.
    """

    spec: Callable[[], TypeAdapter[Any]]
    make: Callable[[Any, Scene], RehearsedWorld]
    unasked: Any = None


def _kubernetes_spec() -> TypeAdapter[Any]:
    from worlds.rehearsal.clusters import ClusterSpec

    return TypeAdapter(ClusterSpec)


def _kubernetes(spec: Any, scene: Scene) -> RehearsedWorld:
    from worlds.rehearsal.clusters import ClusterWorld

    return ClusterWorld(spec, scene)


def _prometheus_spec() -> TypeAdapter[Any]:
    from worlds.rehearsal.metrics import SPEC

    return SPEC


def _prometheus(spec: Any, scene: Scene) -> RehearsedWorld:
    from worlds.rehearsal.metrics import MetricsWorld

    return MetricsWorld(spec, scene)


def _calls_spec() -> TypeAdapter[Any]:
    from worlds.rehearsal.web import SPEC

    return SPEC


def _http(spec: Any, scene: Scene) -> RehearsedWorld:
    from worlds.rehearsal.web import WebWorld

    return WebWorld(spec, scene)


def _webhook(spec: Any, scene: Scene) -> RehearsedWorld:
    from worlds.rehearsal.web import WebWorld

    settings = {"records": scene.scratch / f"{scene.connection}-records"}
    return WebWorld(spec, scene, settings=settings, mute=True)


def _decisions_spec() -> TypeAdapter[Any]:
    from worlds.rehearsal.ledger import LedgerSpec

    return TypeAdapter(LedgerSpec)


def _decisions(spec: Any, scene: Scene) -> RehearsedWorld:
    from worlds.rehearsal.ledger import LedgerWorld

    return LedgerWorld(spec, scene)


WORLDS: Mapping[str, Offer] = {
    "decisions": Offer(_decisions_spec, _decisions, unasked={}),
    "http": Offer(_calls_spec, _http),
    "kubernetes": Offer(_kubernetes_spec, _kubernetes),
    "prometheus": Offer(_prometheus_spec, _prometheus),
    "webhook": Offer(_calls_spec, _webhook, unasked=[]),
}
