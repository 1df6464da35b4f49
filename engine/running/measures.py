"""What runs took and how they failed, as time series by stage; and which failures keep coming back.

A stage is an action, or the kind of a step that has none. Everything is made from the journal: what is
measured is what was written down when it happened, and a run that is no longer there is not measured.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time

KEPT = timedelta(days=7)  # how far back is looked
_OFTEN = 2  # a failure in so many runs is a pattern
_PATTERNS = 20
# What differs between two failures of one kind: numbers, ids, quoted names.
_PART = re.compile(
    r"'[^']*'|\"[^\"]*\"|\b[0-9a-f]{8,}\b|\b\w*\d\w*(?:[-_.:]\w*\d\w*)*\b", re.IGNORECASE
)


@dataclass
class _Stage:
    started: int = 0
    ended: int = 0
    failed: int = 0
    retried: int = 0
    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> JsonObject:
        taken = sorted(self.seconds)
        return {
            "started": self.started,
            "ended": self.ended,
            "failed": self.failed,
            "retried": self.retried,
            "seconds": {
                "median": round(median(taken), 3),
                "p95": round(taken[min(len(taken) - 1, int(len(taken) * 0.95))], 3),
                "max": round(taken[-1], 3),
            }
            if taken
            else None,
            "errors": dict(self.errors),
        }


def measures(
    runs: Iterable[JsonObject], since: datetime, until: datetime, every: timedelta
) -> JsonObject:
    """Return the series of runs.

    Args:
        runs: as `run_detail` gives them. since, until: the window; an event counts where its time lies in it.
        every: the width of an interval; intervals begin at whole multiples of it since 1970, UTC.

    Returns:
        `stages` (over the whole window) and `series` (a list of `{at, stages}`, only intervals in which
        something happened): of each stage `started, ended, failed, retried, seconds {median, p95, max},
        errors` by category. `runs` (`started`, `ended` by state, `success`). `patterns`: failures that came in
        two runs or more, the most frequent first, each with `stage, category, message, times, runs, last`.
    """
    whole: dict[str, _Stage] = defaultdict(_Stage)
    series: dict[datetime, dict[str, _Stage]] = defaultdict(lambda: defaultdict(_Stage))
    begun, ended = 0, Counter[str]()
    failures: list[tuple[str, JsonObject, datetime, str]] = []
    for run in runs:
        begun += _within(run["created_at"], since, until) is not None
        if _within(run["ended_at"], since, until):
            ended[run["state"]] += 1
        for step in run["steps"]:
            stage = step["action"] or step["kind"] or "step"
            start = _within(step["started_at"], since, until)
            if start and step["state"] != "skipped":
                for one in (whole[stage], series[_floor(start, every)][stage]):
                    one.started += 1
            end = _within(step["ended_at"], since, until)
            if end and step["state"] != "skipped":
                for one in (whole[stage], series[_floor(end, every)][stage]):
                    _ended(one, step)
                if step["state"] == "failed":
                    failures.append((stage, step, end, run["id"]))
    good = ended["succeeded"] + ended["planned"]
    total = sum(ended.values())
    return {
        "since": format_time(since),
        "until": format_time(until),
        "every": every.total_seconds(),
        "runs": {
            "started": begun,
            "ended": dict(ended),
            "success": good / total if total else None,
        },
        "stages": {name: one.as_json() for name, one in sorted(whole.items())},
        "series": [
            {
                "at": format_time(at),
                "stages": {name: one.as_json() for name, one in sorted(stages.items())},
            }
            for at, stages in sorted(series.items())
        ],
        "patterns": _patterns(failures),
    }


def _ended(stage: _Stage, step: JsonObject) -> None:
    stage.ended += 1
    stage.retried += max(0, step["attempts"] - 1)
    if step["started_at"]:
        began = datetime.fromisoformat(step["started_at"])
        took = (datetime.fromisoformat(step["ended_at"]) - began).total_seconds()
        stage.seconds.append(max(took, 0.0))
    if step["state"] == "failed":
        stage.failed += 1
        stage.errors[step["category"] or "unclassified"] += 1


def _patterns(failures: Sequence[tuple[str, JsonObject, datetime, str]]) -> list[JsonObject]:
    """Return the failures of one stage, category and wording that more than one run had."""
    alike: dict[tuple[str, str, str], list[tuple[datetime, str, str]]] = defaultdict(list)
    for stage, step, at, run in failures:
        category = step["category"] or "unclassified"
        alike[stage, category, wording(step["message"])].append((at, run, step["message"]))
    found: list[JsonObject] = [
        {
            "stage": stage,
            "category": category,
            "message": max(seen)[2][:300],
            "times": len(seen),
            "runs": sorted({run for _, run, _ in seen}),
            "last": format_time(max(seen)[0]),
        }
        for (stage, category, _), seen in alike.items()
        if len({run for _, run, _ in seen}) >= _OFTEN
    ]
    found.sort(key=lambda one: (-one["times"], one["stage"], one["message"]))
    return found[:_PATTERNS]


def wording(message: str) -> str:
    """Return a failure's message without what differs each time: numbers, ids, quoted names."""
    return _PART.sub("…", " ".join(message.split()))


def _within(text: str | None, since: datetime, until: datetime) -> datetime | None:
    at = datetime.fromisoformat(text) if text else None
    return at if at is not None and since <= at <= until else None


def _floor(at: datetime, every: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (at - epoch) // every * every
