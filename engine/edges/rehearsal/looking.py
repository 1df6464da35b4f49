"""Looks at what people would be shown at moments of a rehearsal, by the code that shows it to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from engine.domain.canonical import JsonObject
from engine.journal.rows import Page
from engine.journal.store import Tx
from engine.language.shownforms import ShownForm
from engine.running.views import run_batches

if TYPE_CHECKING:
    from engine.edges.rehearsal.stage import RehearsedApplication

_ALL = Page(limit=10_000)


@dataclass
class Look:
    """One entry of `shown:` and what was seen then.

    Attributes:
        taken: when; None: its moment never came.
        batches: every foreach of every run, with the run's place among the runs.
        top, metrics, warmup: what the doors of that name say; None where they were not asked for.
    """

    form: ShownForm
    index: int
    taken: datetime | None = None
    batches: Sequence[JsonObject] = ()
    top: JsonObject | None = None
    metrics: JsonObject | None = None
    warmup: JsonObject | None = None

    @property
    def at_the_end(self) -> bool:
        return self.form.at is None and self.form.after is None


class Looks:
    """Every entry of `shown:`, each looked at once."""

    def __init__(
        self, forms: Sequence[ShownForm], start: datetime, done: Mapping[str, datetime]
    ) -> None:
        """`done` says when steps were done, and fills up meanwhile."""
        self.all = [Look(form, index) for index, form in enumerate(forms)]
        self._start = start
        self._done = done

    def next_due(self) -> datetime | None:
        return min((due for one in self.all if (due := self._due(one)) is not None), default=None)

    def look(self, app: RehearsedApplication, now: datetime) -> None:
        """Look at everything whose moment has come."""
        for one in self.all:
            due = self._due(one)
            if due is not None and due <= now:
                _take(one, app, now)

    def finish(self, app: RehearsedApplication, now: datetime) -> None:
        """Look at what is expected at the end."""
        for one in self.all:
            if one.at_the_end:
                _take(one, app, now)

    def _due(self, look: Look) -> datetime | None:
        if look.taken is not None:
            return None
        if look.form.at is not None:
            return self._start + timedelta(seconds=look.form.at)
        after = look.form.after
        done = self._done.get(after.step) if after is not None else None
        if after is None or done is None:
            return None
        return done + timedelta(seconds=after.in_)


def _take(look: Look, app: RehearsedApplication, now: datetime) -> None:
    from engine.edges.cli.local import LocalBackend
    from engine.edges.cli.overview import overview

    form, look.taken = look.form, now
    doors = LocalBackend(app)
    if form.top is not None:
        look.top = overview(doors, now)
    if form.metrics is not None:
        look.metrics = doors.metrics(form.metrics.since, form.metrics.every)
    if form.warmup is not None:
        look.warmup = doors.warmup()
    if form.batches or form.top is not None:
        look.batches = app.store.read(lambda tx: _batches(tx, now))


def _batches(tx: Tx, now: datetime) -> list[JsonObject]:
    rows = sorted(tx.runs.list(_ALL), key=lambda row: (row.created_at, row.id))
    return [
        {**line, "run": row.id, "place": place}
        for place, row in enumerate(rows, 1)
        for line in run_batches(tx, row, now)
    ]
