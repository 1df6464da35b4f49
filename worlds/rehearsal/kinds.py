"""Which kinds of connection have a world that ships with the product. Each is imported when it is first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter

from engine.domain.rehearsed import RehearsedWorld, Scene

MUST = object()  # a connection of this kind must be named where it is used


@dataclass(frozen=True)
class Offer:
    """A world of one kind.

    Attributes:
        spec: the model of an entry of `world:`, module and class. many: an entry is a list of them.
        world: the world's module and class.
        unasked: the entry that stands for a connection which a rehearsal does not name.
        service: the shared server that an entry needs, given the entry as it was written.
        behaving: the world that an entry stands for which is a mapping, where `many` is a list.
    """

    spec: str
    world: str
    many: bool = False
    unasked: Any = MUST
    service: Callable[[Any], str | None] = lambda _entry: None
    behaving: Offer | None = None

    def reader(self) -> TypeAdapter[Any]:
        """Return what reads an entry."""
        model: Any = self.model()
        return TypeAdapter(list[model] if self.many else model)

    def model(self) -> type[BaseModel]:
        """Return the model of an entry, or of one of its items."""
        found: type[BaseModel] = self._of(self.spec)
        return found

    def make(self, entry: Any, scene: Scene) -> RehearsedWorld:
        """Build the world of an entry that was read."""
        world: RehearsedWorld = self._of(self.world)(entry, scene)
        return world

    def _of(self, name: str) -> Any:
        module, _, attribute = name.partition(".")
        return getattr(importlib.import_module(f"worlds.rehearsal.{module}"), attribute)


WORLDS: Mapping[str, Offer] = {
    "artifacts": Offer("shelf.ShelfSpec", "shelf.ShelfWorld", unasked={}),
    "command": Offer("tools.Tool", "tools.ToolsWorld", many=True),
    "decisions": Offer("ledger.LedgerSpec", "ledger.LedgerWorld", unasked={}),
    "http": Offer(
        "calls.Call",
        "web.WebWorld",
        many=True,
        behaving=Offer("batchspec.BatchApiSpec", "batchapi.BatchApiWorld"),
    ),
    "kubernetes": Offer("clusterspec.ClusterSpec", "clusters.ClusterWorld"),
    "mail": Offer("postbox.PostboxSpec", "postbox.PostboxWorld", unasked={}),
    "postgres": Offer(
        "databasespec.DatabaseSpec", "databases.DatabaseWorld", service=lambda _entry: "postgres"
    ),
    "prometheus": Offer("metrics.Metric", "metrics.MetricsWorld", many=True),
    "s3": Offer("bucketspec.BucketsSpec", "buckets.BucketsWorld"),
    "webhook": Offer("calls.Call", "web.HookWorld", many=True, unasked=[]),
}


def offer_of(kind: str, entry: Any) -> Offer | None:
    """Return the world that an entry of `world:` asks for; None: a plugin's own."""
    offer = WORLDS.get(kind)
    if offer is not None and offer.behaving is not None and isinstance(entry, Mapping):
        return offer.behaving
    return offer
