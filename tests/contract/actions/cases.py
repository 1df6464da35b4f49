"""What the contract suite needs to know of an action: one case or more, each over a real target.

An action joins the suite by an entry in CHANGES, READS or NOTIFIES of a `cases_*` module here: a label
that starts with the action's name, and a function that builds the case from a pytest request.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.contract.testing import Case, ChangeCase, Fault, NotifyCase, ReadCase

__all__ = [
    "Builder",
    "Case",
    "ChangeCase",
    "Fault",
    "NotifyCase",
    "ReadCase",
    "changes",
    "notifies",
    "reads",
]

Builder = Callable[[pytest.FixtureRequest], Any]


def _gather(name: str) -> dict[str, Builder]:
    found: dict[str, Builder] = {}
    for path in sorted(Path(__file__).parent.glob("cases_*.py")):
        module = importlib.import_module(f"{__package__}.{path.stem}")
        found |= getattr(module, name, {})
    return found


def changes() -> dict[str, Builder]:
    return _gather("CHANGES")


def reads() -> dict[str, Builder]:
    return _gather("READS")


def notifies() -> dict[str, Builder]:
    return _gather("NOTIFIES")
