"""The table: each figure with its target, its ratio to the floor, and where it stands."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Line:
    """One figure.

    Attributes:
        better: `low` or `high`.
        target: the goal. must: what may not be missed, where there is such a line.
        floor: the bare server's figure in the same run.
    """

    name: str
    value: float
    unit: str
    better: str
    target: float | None = None
    must: float | None = None
    floor: float | None = None

    @property
    def stands(self) -> str:
        """Where it stands: `ok`, `short of the target`, or `MISSED`."""
        if self.must is not None and not self._reaches(self.must):
            return "MISSED"
        if self.target is None:
            return ""
        return "ok" if self._reaches(self.target) else "short of the target"

    @property
    def told(self) -> str:
        """The figure against what it may not miss, in one line."""
        bound = "must stay under" if self.better == "low" else "must be at least"
        needed = "" if self.must is None else f", {bound} {_number(self.must)} {self.unit}"
        return f"{self.name}: {_number(self.value)} {self.unit}{needed}"

    def _reaches(self, line: float) -> bool:
        return self.value <= line if self.better == "low" else self.value >= line

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "stands": self.stands}


def table(lines: Sequence[Line]) -> object:
    """Return a rich table of the lines."""
    from rich.table import Table

    shown = Table(box=None, padding=(0, 2))
    for heading in ("MEASURED", "VALUE", "TARGET", "AT WORST", "FLOOR", "RATIO", ""):
        shown.add_column(heading, justify="left" if heading in {"MEASURED", ""} else "right")
    sign = {"low": "<", "high": ">"}
    for line in lines:
        ratio = f"{line.value / line.floor:.2f}" if line.floor else ""
        shown.add_row(
            line.name,
            f"{_number(line.value)} {line.unit}",
            f"{sign[line.better]} {_number(line.target)}" if line.target is not None else "",
            f"{sign[line.better]} {_number(line.must)}" if line.must is not None else "",
            _number(line.floor) if line.floor is not None else "",
            ratio,
            line.stands,
        )
    return shown


def show(lines: Sequence[Line], *, as_json: bool, width: int) -> None:
    """Print the lines: as one JSON document, or as a table, `width` wide where nobody sits before it."""
    if as_json:
        sys.stdout.write(json.dumps([line.as_json() for line in lines], indent=2) + "\n")
        return
    from rich.console import Console

    Console(highlight=False, width=None if sys.stdout.isatty() else width).print(table(lines))


def say(text: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(f"… {text}\n")


def _number(value: float) -> str:
    if value != value:
        return "nothing"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
