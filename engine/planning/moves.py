"""What the walk says is next. Planner and stepper carry moves out; the walk itself does nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.domain.canonical import Json, JsonObject
from engine.domain.errors import Category
from engine.domain.run import RunState
from engine.language.program import Node
from engine.planning.progress import Failure, StepState


@dataclass(frozen=True)
class Place:
    """Where in the program a node stands, as its templates see it.

    Attributes:
        prefix: what addresses of children begin with.
        scopes: prefixes under which `steps.x` is looked up, innermost first.
        handler: in rescue or finally; `failure` is then in scope.
        rescue: in a rescue: planned as a possibility, judged more mildly for drift.
    """

    prefix: str
    scopes: tuple[str, ...]
    inputs: Mapping[str, Any]
    vars: Mapping[str, Any]
    item: Any = None
    key: str | None = None
    has_item: bool = False
    handler: bool = False
    rescue: bool = False
    failure: Failure | None = None


@dataclass(frozen=True)
class Skip:
    address: str
    node: Node
    reason: str


@dataclass(frozen=True)
class Fail:
    address: str
    node: Node
    category: Category
    message: str


@dataclass(frozen=True)
class Opaque:
    """While planning: whether or how the step runs is known only after apply."""

    address: str
    node: Node
    place: Place
    reason: str


@dataclass(frozen=True)
class Open:
    """Begin a container; `data` holds what it was begun with (items, inputs, the case)."""

    address: str
    node: Node
    place: Place
    data: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class Close:
    address: str
    node: Node
    ok: bool
    output: Json = None
    category: Category | None = None
    message: str = ""
    failure: JsonObject | None = None  # the failure inside that ended it


@dataclass(frozen=True)
class Begin:
    address: str
    node: Node
    place: Place


@dataclass(frozen=True)
class Continue:
    address: str
    node: Node
    place: Place
    state: StepState


@dataclass(frozen=True)
class UndoAll:
    """Undo the run's changes (`run`), or only what its restore steps name (`temporary`)."""

    scope: str


@dataclass(frozen=True)
class Finish:
    """The run comes to rest. `parks`: a person resumes or cancels it; its finally has not run."""

    state: RunState
    reason: str
    outputs: JsonObject = field(default_factory=dict)
    parks: bool = False


Move = Skip | Fail | Opaque | Open | Close | Begin | Continue | UndoAll | Finish
