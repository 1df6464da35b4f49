"""Which maintenance windows the runs of a replay would have met. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.domain.canonical import JsonObject
from engine.domain.run import RunMode
from engine.incidents.backtest.replay import Started
from engine.planning.brakes import Window


def windows_met(runs: Iterable[Started], windows: Sequence[Window]) -> list[JsonObject]:
    """Return each window with how many runs began while it was open, and their longest wait in seconds.

    A window of some connections counts every run of its playbooks: which connections a run would have
    touched is known only to its plan. One that asks for approval counts what goes by itself alone, and makes
    nobody wait but for people.
    """
    begun = list(runs)
    found: list[JsonObject] = []
    for window in windows:
        waits = [
            (until - run.at).total_seconds()
            for run in begun
            if window.concerns(run.playbook, None)
            and (window.does == "hold" or run.mode is RunMode.AUTO)
            and (until := window.ends(run.at)) is not None
        ]
        found.append(
            {
                "window": window.name,
                "does": window.does,
                "runs": len(waits),
                "longest": max(waits, default=0.0) if window.does == "hold" else 0.0,
            }
        )
    return found
