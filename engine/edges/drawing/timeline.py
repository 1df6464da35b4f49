"""A backtest as SVG: a line for each rule, its runs and what held others back, over the days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from engine.domain.canonical import JsonObject
from engine.edges.drawing.svg import DIM, FAINT, Canvas, fitted

_WIDTH, _LINE, _TOP = 900.0, 22.0, 66.0
_NAMES = (110.0, 320.0)  # how wide the rules' names are, at least and at most
_COUNT = 50.0  # the column of how many runs
_RUN = {"auto": "#2f855a", "approve": "#2b6cb0", "dry_run": "#a0aec0"}
_HELD = {"skip": "#d69e2e", "ask": "#c53030", "wait": "#b794f4"}
_LEGEND = (
    ("run, automatic", _RUN["auto"]),
    ("run, approved by people", _RUN["approve"]),
    ("dry run", _RUN["dry_run"]),
    ("held back", _HELD["skip"]),
    ("left to a person", _HELD["ask"]),
    ("waits", _HELD["wait"]),
)


def timeline_svg(found: JsonObject) -> str:
    """Return the SVG of a backtest's findings."""
    since, until = (datetime.fromisoformat(found[name]) for name in ("since", "until"))
    span = max((until - since).total_seconds(), 1.0)
    rules = [rule["rule"] for rule in found["rules"]]
    left = _COUNT + 8 + min(max([_NAMES[0], *(len(name) * 6.6 for name in rules)]), _NAMES[1])
    rows = {name: _TOP + number * _LINE for number, name in enumerate(rules)}
    bottom = _TOP + len(rules) * _LINE
    canvas = Canvas(f"Backtest from {found['since']} to {found['until']}")

    def x(at: str) -> float:
        passed = (datetime.fromisoformat(at) - since).total_seconds()
        return left + min(max(passed / span, 0.0), 1.0) * _WIDTH

    _legend(canvas)
    when = f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}"
    canvas.write(left + _WIDTH, 20, when, size=11, ink=DIM, anchor="end")
    canvas.write(left - 10, _TOP - 12, "runs", size=10, ink=FAINT, anchor="end")
    for moment, label in _ticks(since, until):
        place = x(moment.isoformat())
        canvas.line(place, _TOP - 6, place, bottom)
        canvas.write(place, _TOP - 12, label, size=10, ink=FAINT, anchor="middle")
    for rule in found["rules"]:
        y = rows[rule["rule"]]
        canvas.line(left, y + _LINE - 4, left + _WIDTH, y + _LINE - 4)
        canvas.write(8, y + 13, fitted(rule["rule"], left - 8 - _COUNT))
        canvas.write(left - 10, y + 13, str(rule["runs"]), anchor="end")
    for held in found["timeline"]["held"]:
        if held["rule"] in rows:
            hover = f"{held['at']} {held['verdict']}: {held['code']}"
            colour = _HELD.get(held["verdict"], FAINT)
            canvas.mark(x(held["at"]), rows[held["rule"]] + 11, 2, 6, colour, hover)
    for run in found["timeline"]["runs"]:
        if run["rule"] in rows:
            begin = x(run["at"])
            width = max(2.0, x(run["until"]) - begin)
            hover = f"{run['at']} to {run['until']} {run['mode']}"
            canvas.mark(begin, rows[run["rule"]] + 2, width, 8, _RUN[run["mode"]], hover)
    return canvas.text(left + _WIDTH + 30, bottom + 20)


def _legend(canvas: Canvas) -> None:
    at = 8.0
    for name, colour in _LEGEND:
        canvas.mark(at, 12, 12, 8, colour, name)
        canvas.write(at + 17, 20, name, size=11)
        at += 40 + len(name) * 6.4


def _ticks(since: datetime, until: datetime) -> Iterator[tuple[datetime, str]]:
    """Whole days, or hours where the past is short; no more than about fifteen."""
    length = until - since
    hours = length <= timedelta(days=2)
    step = timedelta(hours=1) if hours else timedelta(days=1)
    step *= max(1, -(-int(length / step) // 15))
    midnight = since.replace(hour=0, minute=0, second=0, microsecond=0)
    moment = midnight
    while moment <= until:
        if moment >= since:
            yield moment, f"{moment:%H:%M}" if hours else f"{moment:%d %b}"
        moment += step
