"""A plan's graph as SVG: steps under one another, branches side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.domain.canonical import JsonObject
from engine.edges.drawing.svg import FAINT, STATES, Canvas, fitted

_WIDTH, _HEIGHT, _GAP, _EDGE = 230.0, 44.0, 22.0, 20.0
_LABEL = 16.0


@dataclass(frozen=True)
class _Size:
    width: float
    height: float


def flow_svg(graph: JsonObject, title: str) -> str:
    """Return the SVG of a graph as `engine.planning.graph` makes it."""
    canvas = Canvas(title)
    canvas.write(_EDGE, _EDGE + 8, title, size=15)
    x, bottom = _EDGE, 0.0
    for name, label in (("steps", ""), ("rescue", "after a failure"), ("finally", "always")):
        steps = graph.get(name) or []
        if not steps:
            continue
        size = _column(steps)
        canvas.write(x, _EDGE + 30, label, ink=FAINT)
        _draw_column(canvas, steps, x, _EDGE + 40, size)
        bottom = max(bottom, _EDGE + 40 + size.height)
        x += size.width + 2 * _GAP
    return canvas.text(max(x, 320.0), bottom + _EDGE)


def _column(steps: Sequence[JsonObject]) -> _Size:
    sizes = [_size(step) for step in steps]
    width = max((size.width for size in sizes), default=_WIDTH)
    height = sum(size.height for size in sizes) + _GAP * max(0, len(sizes) - 1)
    return _Size(width, height)


def _size(step: JsonObject) -> _Size:
    branches = [_column(branch["steps"]) for branch in step["branches"] if branch["steps"]]
    if not branches:
        return _Size(_WIDTH, _HEIGHT)
    width = sum(size.width for size in branches) + _GAP * (len(branches) - 1)
    height = _HEIGHT + _GAP + _LABEL + max(size.height for size in branches) + _GAP / 2
    return _Size(max(_WIDTH, width), height)


def _draw_column(
    canvas: Canvas, steps: Sequence[JsonObject], x: float, y: float, size: _Size
) -> None:
    middle = x + size.width / 2
    for number, step in enumerate(steps):
        own = _size(step)
        _draw(canvas, step, middle - own.width / 2, y, own)
        y += own.height
        if number < len(steps) - 1:
            canvas.line(middle, y, middle, y + _GAP, arrow=True)
        y += _GAP


def _draw(canvas: Canvas, step: JsonObject, x: float, y: float, size: _Size) -> None:
    middle = x + size.width / 2
    left = middle - _WIDTH / 2
    hover = " ".join(filter(None, (step["id"], step["state"], step["note"])))
    canvas.box(left, y, _WIDTH, _HEIGHT, STATES.get(step["state"], "#ffffff"), hover)
    canvas.write(left + 8, y + 18, fitted(step["title"], _WIDTH - 16, 13), size=13)
    below = "  ".join(filter(None, (step["action"] or step["kind"], step["state"])))
    canvas.write(left + 8, y + 35, fitted(below, _WIDTH - 16, 11), size=11, ink="#52606d")
    at, top = x, y + _HEIGHT + _GAP + _LABEL
    branches = [branch for branch in step["branches"] if branch["steps"]]
    inside = sum(_column(branch["steps"]).width for branch in branches) + _GAP * (len(branches) - 1)
    at += (size.width - inside) / 2 if branches else 0
    for branch in branches:
        own = _column(branch["steps"])
        centre = at + own.width / 2
        canvas.line(middle, y + _HEIGHT, centre, top, arrow=True)
        canvas.write(centre + 5, top - 5, branch["label"], size=11, ink="#52606d")
        _draw_column(canvas, branch["steps"], at, top, own)
        at += own.width + _GAP
