"""What happened: alerts as they came, and metrics as they were. Where it comes from is the edges' affair."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from engine.domain.alert import Alert, AlertStatus
from engine.domain.canonical import canonical_json
from engine.domain.clock import Clock
from engine.domain.errors import ActionFailed, Category
from engine.language.program import Query


@dataclass(frozen=True)
class Came:
    """One alert of one delivery, at the time it came."""

    at: datetime
    alert: Alert
    group_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stretch:
    """A time for which an alert fired. `until` None: it still does at the end of the past."""

    labels: Mapping[str, str]
    since: datetime
    until: datetime | None
    annotations: Mapping[str, str] = field(default_factory=dict)


def came(stretches: Sequence[Stretch], group_by: Sequence[str]) -> list[Came]:
    """Return what a sender would have delivered: each stretch's beginning and its end."""
    found: list[Came] = []
    for stretch in stretches:
        identity = hashlib.sha256(canonical_json(dict(stretch.labels)).encode()).hexdigest()[:16]
        group = {name: stretch.labels.get(name, "") for name in group_by}
        alert = Alert(
            fingerprint=identity,
            status=AlertStatus.FIRING,
            labels=dict(stretch.labels),
            annotations=dict(stretch.annotations),
            starts_at=stretch.since,
        )
        found.append(Came(stretch.since, alert, group))
        if stretch.until is not None:
            over = Alert(
                fingerprint=identity,
                status=AlertStatus.RESOLVED,
                labels=dict(stretch.labels),
                annotations=dict(stretch.annotations),
                starts_at=stretch.since,
                ends_at=stretch.until,
            )
            found.append(Came(stretch.until, over, group))
    return sorted(found, key=lambda one: one.at)


@dataclass(frozen=True)
class Series:
    """A query's first value over time; None where it had none. Times ascend."""

    times: Sequence[float]
    values: Sequence[float | None]
    step: float

    def at(self, moment: float) -> float | None:
        """Return the value of the last point that is no older than two steps."""
        place = bisect_right(self.times, moment) - 1
        if place < 0 or moment - self.times[place] > 2 * self.step:
            return None
        return self.values[place]


class Metrics(Protocol):
    """Metrics as they were."""

    def series(self, query: Query) -> Series:
        """Return the query's values over the whole past.

        Raises:
            ActionFailed: it cannot be asked.
        """
        ...


class Recorded:
    """Answers conditions and query triggers out of the past, at the clock's time. A `QueryPort`."""

    def __init__(self, metrics: Metrics | None, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._known: dict[str, Series | ActionFailed] = {}
        self.failures: dict[str, str] = {}  # what could not be asked, and why

    def value(self, query: Query) -> float | None:
        return self.series(query).at(self._clock.now().timestamp())

    def series(self, query: Query) -> Series:
        """Return the values of a query with its params rendered, asked once.

        Raises:
            ActionFailed: it cannot be asked.
        """
        key = canonical_json([query.connection, query.query, query.params])
        if key not in self._known:
            self._known[key] = self._ask(query)
        found = self._known[key]
        if isinstance(found, ActionFailed):
            raise found
        return found

    def _ask(self, query: Query) -> Series | ActionFailed:
        if self._metrics is None:
            error = ActionFailed(
                Category.CONFIGURATION,
                f"no metrics of the past were given (--prometheus), so {query.connection} cannot be asked",
            )
        else:
            try:
                return self._metrics.series(query)
            except ActionFailed as failed:
                error = failed
        self.failures[query.query] = str(error)
        return error
