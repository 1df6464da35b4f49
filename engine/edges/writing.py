"""Builds what writes postmortems out of the application: templates, charts, the decisions log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from engine.contract.registry import Registry
from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.incidents.postmortem.book import Book
from engine.incidents.postmortem.writing import Printer
from engine.running.world import Connections

_POINTS = 120
_DECISION = "log.decision"
_HEADINGS = {"connection": "decisions"}


class ActionSeries:
    """Asks for a query's course by the action `KIND.series` of a connection. Implements `SeriesPort`."""

    def __init__(self, registry: Registry, connections: Connections) -> None:
        self._registry = registry
        self._connections = connections

    def series(
        self, connection: str, query: str, params: Mapping[str, Any], start: datetime, end: datetime
    ) -> JsonObject:
        """Raises ActionFailed where it cannot be asked."""
        kind = self._connections.get(connection).kind.kind
        action = self._registry.actions.get(f"{kind}.series")
        if action is None:
            return {"times": [], "series": []}
        given = {
            "connection": connection,
            "query": query,
            "params": dict(params),
            "at": format_time(end),
            "since": max(60.0, (end - start).total_seconds()),
            "points": _POINTS,
        }
        world = self._connections.world(writable=False, timeout=15.0)
        output = cast(Any, action).read(action.Params.model_validate(given), world)
        return cast(JsonObject, output)

    def of_alert(self) -> str | None:
        """The one connection that has series; where there are several nobody knows whose an alert is."""
        known = [
            name
            for name, kind in self._connections.names.items()
            if f"{kind}.series" in self._registry.actions
        ]
        return known[0] if len(known) == 1 else None


def book_of(application: Any) -> Book:
    """Return what makes the application's postmortems."""
    connections: Connections = application.world
    registry: Registry = application.registry

    def decide(fields: Mapping[str, str], key: str) -> str:
        action = registry.actions[_DECISION]
        params = action.Params.model_validate({**_HEADINGS, "fields": dict(fields)})
        world = connections.world(writable=True, timeout=15.0)
        output = cast(Any, action).send(params, world, key)
        return str(output)

    config = application.config.incidents
    return Book(
        store=application.store,
        printer=Printer(config.templates),
        redact=connections.redact,
        series=ActionSeries(registry, connections),
        masked=connections.personal,
        decide=decide if _DECISION in registry.actions else None,
    )
