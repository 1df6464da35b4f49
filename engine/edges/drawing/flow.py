"""A plan's graph as SVG: steps under one another, branches side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.domain.canonical import JsonObject
from engine.edges.drawing.svg import DIM, FAINT, STATES, Canvas, fitted

_WIDTH, _HEIGHT, _GAP, _EDGE = 260.0, 44.0, 22.0, 20.0
_LABEL = 16.0  # the name of a branch, above it
_PAD = 10.0  # between a frame and what it holds


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


def _branches(step: JsonObject) -> list[JsonObject]:
    return [branch for branch in step["branches"] if branch["steps"]]


def _size(step: JsonObject) -> _Size:
    """Return the size of a step: its box, or the frame around it and its branches."""
    branches = [_column(branch["steps"]) for branch in _branches(step)]
    if not branches:
        return _Size(_WIDTH, _HEIGHT)
    width = sum(size.width for size in branches) + _GAP * (len(branches) - 1)
    height = _HEIGHT + _GAP + _LABEL + max(size.height for size in branches)
    return _Size(max(_WIDTH, width) + 2 * _PAD, height + 2 * _PAD)


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
    middle, branches = x + size.width / 2, _branches(step)
    if branches:
        canvas.frame(x, y, size.width, size.height)
        y += _PAD
    left = middle - _WIDTH / 2
    hover = " ".join(filter(None, (step["id"], step["title"], step["state"], step["note"])))
    canvas.box(left, y, _WIDTH, _HEIGHT, STATES.get(step["state"], "#ffffff"), hover)
    canvas.write(left + 8, y + 18, fitted(step["title"], _WIDTH - 16, 13), size=13)
    canvas.write(left + 8, y + 35, fitted(_about(step), _WIDTH - 16, 11), size=11, ink=DIM)
    if branches:
        _draw_branches(canvas, branches, middle, y + _HEIGHT)


def _about(step: JsonObject) -> str:
    """What it is and how it stands; a gate that is a gate says so once."""
    what, state = step["action"] or step["kind"], step["state"]
    return what if state in (None, "", "container", what) else f"{what}  {state}"


def _draw_branches(canvas: Canvas, branches: Sequence[JsonObject], middle: float, y: float) -> None:
    """Draw branches side by side below `y`, each at the end of a line that leads down and across to it."""
    sizes = [_column(branch["steps"]) for branch in branches]
    turn, top = y + _GAP / 2, y + _GAP + _LABEL
    at = middle - (sum(size.width for size in sizes) + _GAP * (len(sizes) - 1)) / 2
    canvas.line(middle, y, middle, turn)
    for branch, size in zip(branches, sizes, strict=True):
        centre = at + size.width / 2
        canvas.line(middle, turn, centre, turn)
        canvas.line(centre, turn, centre, top, arrow=True)
        label = fitted(branch["label"], size.width / 2, 11)
        canvas.write(centre + 6, top - 6, label, size=11, ink=DIM)
        _draw_column(canvas, branch["steps"], at, top, size)
        at += size.width + _GAP
