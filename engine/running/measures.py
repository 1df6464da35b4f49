"""What runs took and how they failed, as time series by stage; and which failures keep coming back.

A stage is an action, or the kind of a step that has none. What is measured was written in the very
transactions that journalled it, and is kept for a week.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.journal.rows import MeasureRow

_OFTEN = 2  # a failure in so many runs is a pattern
_PATTERNS = 20
_RUNS = 100  # of a pattern that are named
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
    seconds: array[float] = field(default_factory=lambda: array("d"))
    errors: Counter[str] = field(default_factory=Counter)
    cpu: float = 0.0
    memory: int | None = None

    def take(self, row: MeasureRow) -> None:
        """Count a step that ended."""
        self.ended += 1
        self.retried += max(0, row.attempts - 1)
        self.cpu += row.cpu
        if row.memory is not None:
            self.memory = max(self.memory or 0, row.memory)
        if row.started_at is not None and row.at is not None:
            self.seconds.append(max(0.0, (row.at - row.started_at).total_seconds()))
        if row.state == "failed":
            self.failed += 1
            self.errors[row.category or "unclassified"] += 1

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
            "cpu_seconds": round(self.cpu, 3),
            "peak_memory": self.memory,
        }


class _Series:
    """Stages over the whole window, and interval by interval."""

    def __init__(self, every: timedelta) -> None:
        self._every = every
        self.whole: dict[str, _Stage] = defaultdict(_Stage)
        self.intervals: dict[datetime, dict[str, _Stage]] = defaultdict(lambda: defaultdict(_Stage))

    def at(self, when: datetime, stage: str) -> tuple[_Stage, _Stage]:
        return self.whole[stage], self.intervals[_floor(when, self._every)][stage]

    def started(self, when: datetime, stage: str) -> None:
        for one in self.at(when, stage):
            one.started += 1


def measures(
    rows: Iterable[MeasureRow], since: datetime, until: datetime, every: timedelta
) -> JsonObject:
    """Return the series of what was measured.

    Args:
        rows: what was measured in the window, oldest first. Read one after the other, however many.
        since, until: the window; an event counts where its time lies in it.
        every: the width of an interval; intervals begin at whole multiples of it since 1970, UTC.

    Returns:
        `stages` (over the whole window) and `series` (a list of `{at, stages}`, only intervals in which
        something happened): of each stage `started, ended, failed, retried, seconds {median, p95, max},
        errors` by category, `cpu_seconds` that the engine worked at it, `peak_memory` of the process in
        bytes meanwhile (None where the system does not say). `runs` (`started`, `ended` by state,
        `success`). `patterns`: failures that came in two runs or more, the most frequent first, each with
        `stage, category, message, times, runs, last`.
    """
    series = _Series(every)
    begun, ended = 0, Counter[str]()
    open_: dict[tuple[str, str], tuple[datetime, str]] = {}
    failures: dict[tuple[str, str, str], _Pattern] = {}
    for row in rows:
        assert row.at is not None, "the store says when"
        if row.event == "run.began":
            begun += 1
        elif row.event == "run.ended":
            ended[row.state or ""] += 1
        elif row.event == "began":
            open_[row.run_id, row.address] = row.at, row.stage
        else:
            open_.pop((row.run_id, row.address), None)
            start = row.started_at or row.at
            if since <= start <= until:
                series.started(start, row.stage)
            for one in series.at(row.at, row.stage):
                one.take(row)
            if row.state == "failed":
                alike = row.stage, row.category or "unclassified", wording(row.message)
                failures.setdefault(alike, _Pattern(row.at)).add(row, row.at)
    for start, stage in open_.values():  # under way still
        series.started(start, stage)
    good, total = ended["succeeded"] + ended["planned"], sum(ended.values())
    return {
        "since": format_time(since),
        "until": format_time(until),
        "every": every.total_seconds(),
        "runs": {
            "started": begun,
            "ended": dict(ended),
            "success": good / total if total else None,
        },
        "stages": {name: one.as_json() for name, one in sorted(series.whole.items())},
        "series": [
            {
                "at": format_time(at),
                "stages": {name: one.as_json() for name, one in sorted(stages.items())},
            }
            for at, stages in sorted(series.intervals.items())
        ],
        "patterns": _patterns(failures),
    }


@dataclass
class _Pattern:
    """Failures of one stage, category and wording."""

    last: datetime
    message: str = ""
    times: int = 0
    runs: set[str] = field(default_factory=set)

    def add(self, row: MeasureRow, at: datetime) -> None:
        self.times += 1
        self.runs.add(row.run_id)
        if at >= self.last:
            self.last, self.message = at, row.message


def _patterns(failures: Mapping[tuple[str, str, str], _Pattern]) -> list[JsonObject]:
    """Return those that more than one run had."""
    found: list[JsonObject] = [
        {
            "stage": stage,
            "category": category,
            "message": seen.message[:300],
            "times": seen.times,
            "runs": sorted(seen.runs)[:_RUNS],
            "last": format_time(seen.last),
        }
        for (stage, category, _), seen in failures.items()
        if len(seen.runs) >= _OFTEN
    ]
    found.sort(key=lambda one: (-one["times"], one["stage"], one["message"]))
    return found[:_PATTERNS]


def wording(message: str) -> str:
    """Return a failure's message without what differs each time: numbers, ids, quoted names."""
    return _PART.sub("…", " ".join(message.split()))


def _floor(at: datetime, every: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (at - epoch) // every * every
