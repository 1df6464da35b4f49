"""What the contract suite needs to know of an action: one case or more, each over a real target.

An action joins the suite by an entry in CHANGES, READS or NOTIFIES of a `cases_*` module here: a label
that starts with the action's name, and a function that builds the case from a pytest request.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.contract import Category, Change, Notify, Read
from tests.contract.actions.worlds import Connections


@dataclass
class Fault:
    """A broken world or bad parameters, and how the action must classify that."""

    category: Category
    connections: Connections
    params: Mapping[str, Any]


@dataclass
class Case:
    """What every case has.

    Attributes:
        connections: the way to the target, through a recorder.
        params: good parameters.
        state: everything at the target that the action could touch, exactly.
        writes: what the recorder saw that could leave something behind.
        faults: by name, such as `unreachable`, `credentials`, `missing`.
        secrets: values that must surface nowhere.
        world: the system itself, where it is one of `worlds` in this process.
    """

    connections: Connections
    params: Mapping[str, Any]
    state: Callable[[], Any]
    writes: Callable[[], Sequence[str]]
    faults: Mapping[str, Fault] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    world: Any = None


@dataclass
class ReadCase(Case):
    """A read, and what its output must show."""

    action: Read[Any] = field(kw_only=True)
    check: Callable[[Any], None] = field(kw_only=True)


@dataclass
class ChangeCase(Case):
    """A change.

    Attributes:
        meddle: what others do to the target after the change, so that an undo must refuse; None where the
            change is irreversible or nothing can be in the way.
        conflict: what the refusal must name.
        settle: lets the target come to rest after the change, where that takes it time.
        secret_image: the values before are secret: the first receipt alone has them, and the plan says so.
    """

    action: Change[Any] = field(kw_only=True)
    meddle: Callable[[], None] | None = None
    conflict: str = ""
    settle: Callable[[], None] = lambda: None
    secret_image: bool = False


@dataclass
class NotifyCase(Case):
    """A message."""

    action: Notify[Any] = field(kw_only=True)


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
