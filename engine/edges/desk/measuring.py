"""The desk's half that measures: batches under way, and series of the last days."""

from __future__ import annotations

from datetime import timedelta

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.domain.run import ENDS, RunState
from engine.edges.desk.reading import Reading
from engine.journal.rows import Page
from engine.journal.store import Tx
from engine.language.shownforms import is_series, is_window
from engine.running.measures import measures
from engine.running.views import run_batches, run_view

_UNDER_WAY = tuple(state for state in RunState if state not in ENDS)
_LOOKED_AT = 100  # active runs whose batches are looked for


class Measuring(Reading):
    """The measuring part of the desk."""

    def batches(self) -> JsonObject:
        """Every foreach that active runs have begun, with its progress; the newest hundred runs."""

        def work(tx: Tx) -> JsonObject:
            items = []
            for row in tx.runs.list(Page(limit=_LOOKED_AT), states=list(_UNDER_WAY)):
                line = run_view(row)
                names = {"run": line["id"], "playbook": line["playbook"]}
                names["priority"] = line["priority"]
                found = run_batches(tx, row, self.app.clock.now())
                items += [{**names, **one} for one in found if not one["over"]]
            return {"items": items, "next": None}

        return self._read(work)

    def warmup(self) -> JsonObject:
        """What the answering process fetched before runs needed it: see `Warmer.report`; `off` where none."""
        return self.app.warmed() or {"state": "off"}

    def metrics(self, since: float, every: float) -> JsonObject:
        """Return the series of the last `since` seconds in intervals of `every` seconds: see `measures`.

        Raises:
            InvalidInput: the window is longer than a week, or the interval is no part of it.
        """
        if not is_window(since):
            raise InvalidInput("since is from one minute to seven days (7d)")
        if not is_series(since, every):
            raise InvalidInput("every is from one second to the window, in at most 1000 intervals")
        width = timedelta(seconds=every)

        def work(tx: Tx) -> JsonObject:
            until = tx.now()
            start = until - timedelta(seconds=since)
            return measures(tx.measures.between(start, until), start, until, width)

        return self._read(work)
