"""What the checks need to know of an action: a case, over a real target or a fake that behaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.contract.action import Change, Notify, Read
from engine.contract.testing.worlds import Connections
from engine.domain.errors import Category


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
    action: Any = field(kw_only=True)


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
