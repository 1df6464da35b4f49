"""The past out of the store: the alerts that were accepted, and how long runs lasted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from statistics import median

from engine.domain.run import ENDS, RunMode
from engine.incidents.backtest.past import Came
from engine.journal.rows import Page
from engine.journal.store import Store, Tx

_PAGE = 500
_SAMPLE = 200  # runs of a playbook that its usual time is taken from


def read_stored(store: Store, since: datetime) -> list[Came]:
    """Return the alerts that the store accepted since a time, at the times they came first."""

    def work(tx: Tx) -> list[Came]:
        found: list[Came] = []
        before: str | None = None
        while True:
            page = tx.alerts.list(Page(limit=_PAGE, before=before))
            found += [
                Came(row.received_at, row.alert, row.group_labels)
                for row in page
                if row.received_at >= since
            ]
            if len(page) < _PAGE or page[-1].received_at < since:
                return sorted(found, key=lambda one: one.at)
            before = page[-1].id

    return store.read(work)


def usual_time(store: Store) -> Callable[[str], float | None]:
    """Return what gives the median seconds of a playbook's past runs, None where there was none."""

    def seconds(playbook: str) -> float | None:
        rows = store.read(
            lambda tx: tx.runs.list(Page(limit=_SAMPLE), states=ENDS, playbook=playbook)
        )
        lasted = [
            (row.ended_at - row.created_at).total_seconds()
            for row in rows
            if row.ended_at is not None and row.mode is not RunMode.DRY_RUN
        ]
        return median(lasted) if lasted else None

    return seconds
