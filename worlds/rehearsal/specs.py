"""What the entries of a rehearsal's `world:` have in common: spans of time, conditions, whose turn it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from engine.domain.canonical import Json
from engine.domain.errors import ActionFailed, Category
from engine.domain.rehearsed import Scene

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def read_span(text: object) -> float:
    """Read `90s`, `1h30m` or `2d` into seconds.

    Raises:
        ValueError: it is no such text.
    """
    if not isinstance(text, str) or not re.fullmatch(rf"(?:{_PART.pattern})+", text):
        raise ValueError(f"{text!r} is no duration; write for example 90s, 15m or 2h")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


Span = Annotated[
    float,
    BeforeValidator(lambda value: value if isinstance(value, float) else read_span(value)),
    WithJsonSchema({"type": "string", "description": "a duration", "examples": ["2m"]}),
]


class Spec(BaseModel):
    """A mapping of a rehearsal's world: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def holds(self, target: str) -> bool | None:
        """Tell whether `target` is there at the beginning; None: it cannot be told before it is played."""
        del target
        return False


class After(Spec):
    """Holds once a step was done, and from `in` so long after."""

    step: str = Field(description="The step's address", examples=["contain.reduce_concurrency"])
    in_: Span = Field(0.0, alias="in", description="How long after the step was done")


class Failing(Spec):
    """A call that fails."""

    category: Literal["transient", "resource", "rate_limit", "configuration", "data", "permanent"]
    message: str = Field("a fault of the rehearsal", description="What the failure says")
    retry_after: Span | None = Field(None, description="After which another try is allowed")

    def error(self, connection: str) -> ActionFailed:
        return ActionFailed(
            Category(self.category),
            f"connection {connection!r}: {self.message}",
            retry_after=self.retry_after,
            effect_possible=False,
        )


class Entry(Protocol):
    """An entry that may have to wait for a step."""

    @property
    def after(self) -> After | None: ...


E = TypeVar("E", bound=Entry)


@dataclass
class Slot(Generic[E]):
    """An entry, and how often it answered."""

    entry: E
    used: int = 0


def holds(after: After | None, scene: Scene, at: datetime) -> bool:
    """Tell whether an entry's condition holds at a moment."""
    if after is None:
        return True
    done = scene.done(after.step)
    return done is not None and at >= done + timedelta(seconds=after.in_)


def choose(
    slots: Sequence[Slot[E]], scene: Scene, fits: Callable[[Slot[E]], bool], at: datetime
) -> Slot[E] | None:
    """Return whose turn it is: of those with `after` that holds the last, else the first without."""
    able = [slot for slot in slots if fits(slot) and holds(slot.entry.after, scene, at)]
    waited = [slot for slot in able if slot.entry.after is not None]
    if waited:
        return waited[-1]
    return able[0] if able else None


def contains(found: Json, wanted: Json) -> bool:
    """Tell whether `found` has at least what `wanted` has; lists are compared whole."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return all(name in found and contains(found[name], item) for name, item in wanted.items())
    return bool(found == wanted)
