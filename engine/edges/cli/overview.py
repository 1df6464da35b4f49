"""What `stanch top` shows, as data: made of the lists that every backend gives."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time

LOOKED_AT = 500  # runs, the newest
_RECENT = timedelta(hours=24)
_GOOD = frozenset({"succeeded", "planned"})
_BAD = frozenset({"failed", "needs_human"})
_ERRORS = 5


def overview(backend: Any, now: datetime) -> JsonObject:
    """Return `{at, runs, active, queues, batches, gates, brakes, recent, warmup}`.

    `active` are the runs that have not ended, most urgent first; `queues` counts what waits by priority;
    `batches` are the foreach steps under way; `recent` is about the runs that ended within a day, with the
    newest errors. Of many runs the newest 500 are looked at.
    """
    runs = backend.list("runs", limit=LOOKED_AT)["items"]
    gates = backend.list("approvals")["items"]
    brakes = backend.list("brakes")["items"]
    active = [run for run in runs if not run["over"] or run["state"] == "needs_human"]
    active.sort(key=lambda run: (-run["priority"], run["created_at"]))
    waiting = Counter(run["priority"] for run in active if run["state"] == "queued")
    return {
        "at": format_time(now),
        "where": backend.where,
        "looked_at": len(runs),
        "states": dict(Counter(run["state"] for run in active)),
        "active": [_line(run, now) for run in active],
        "queues": {
            f"{priority}": number for priority, number in sorted(waiting.items(), reverse=True)
        },
        "batches": backend.list("batches")["items"],
        "gates": [
            {
                name: gate[name]
                for name in ("id", "run", "playbook", "role", "missing", "expires_at")
            }
            for gate in gates
        ],
        "brakes": [brake for brake in brakes if brake.get("engaged")],
        "recent": _recent(runs, now),
        "warmup": backend.warmup(),
    }


def _line(run: JsonObject, now: datetime) -> JsonObject:
    age = (now - datetime.fromisoformat(run["created_at"])).total_seconds()
    names = ("id", "playbook", "state", "reason", "priority", "mode", "incident")
    return {**{name: run[name] for name in names}, "age": round(max(age, 0.0), 1)}


def _recent(runs: list[JsonObject], now: datetime) -> JsonObject:
    ended = [
        run
        for run in runs
        if run["ended_at"] and now - datetime.fromisoformat(run["ended_at"]) <= _RECENT
    ]
    took = [
        (
            datetime.fromisoformat(run["ended_at"]) - datetime.fromisoformat(run["created_at"])
        ).total_seconds()
        for run in ended
    ]
    good = sum(run["state"] in _GOOD for run in ended)
    return {
        "ended": len(ended),
        "states": dict(Counter(run["state"] for run in ended)),
        "success": good / len(ended) if ended else None,
        "median_seconds": median(took) if took else None,
        "errors": [
            {name: run[name] for name in ("id", "playbook", "state", "reason", "ended_at")}
            for run in sorted(ended, key=lambda run: run["ended_at"], reverse=True)
            if run["state"] in _BAD
        ][:_ERRORS],
    }
