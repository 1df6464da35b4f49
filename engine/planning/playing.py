"""One pass of the planner over a program: its lines, the reads it made, the progress it plays on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import ValidationError

from engine.contract.world import World
from engine.domain.canonical import Json, JsonObject
from engine.domain.errors import Category
from engine.domain.plan import Planned, Target
from engine.language.program import (
    Node,
)
from engine.language.scope import TemplateError
from engine.planning.document import PlanStep
from engine.planning.progress import RunProgress


class Worlds(Protocol):
    """Makes the world of one attempt, and guards the connections' allow-lists."""

    def world(self, *, writable: bool, earlier: Sequence[Planned] = ()) -> World: ...

    def refusal(self, target: Target) -> str | None:
        """Why the target's connection forbids it, or None."""
        ...

    def reveal(self, value: Json) -> Json:
        """Replace secret references by their values, for a call."""
        ...

    def receive(self, value: Json) -> Json:
        """Make what came from outside safe to keep: no secret value in it, and no forged reference."""
        ...

    def redact_planned(self, planned: Planned) -> Planned:
        """`redact` for a planned change."""
        ...

    def redact(self, value: Json) -> Json:
        """Replace secret values by their references, in whatever leaves a call."""
        ...


@dataclass
class ReadDone:
    """A read that was carried out while planning, to be journalled and kept."""

    address: str
    ok: bool
    output: Json = None
    category: Category | None = None
    message: str = ""
    cpu: float = 0.0  # seconds that this process worked at it


@dataclass
class Planning:
    """One pass: its lines, the reads it carried out, and the progress it played on."""

    progress: RunProgress
    steps: list[PlanStep] = field(default_factory=list)
    reads: list[ReadDone] = field(default_factory=list)
    earlier: list[Planned] = field(default_factory=list)
    past_first_effect: bool = False
    playbook: str = ""


def line(address: str, node: Node, state: str, **values: Any) -> PlanStep:
    bounds = getattr(node, "bounds", {})
    return PlanStep(
        address=address,
        kind=node.kind,  # type: ignore[attr-defined]  # every node class has its kind
        title=node.title,
        state=state,
        when=node.when,
        bounds={name: bound.model_dump() for name, bound in bounds.items()},
        **values,
    )


def shown(data: JsonObject) -> JsonObject:
    """Items of a foreach by key only: the items themselves are in the steps."""
    if "items" in data:
        return {"items": [item["key"] for item in data["items"]]}
    return data


def readable(error: Exception) -> str:
    """One line for a person out of a validation error or one of our own."""
    if isinstance(error, ValidationError):
        parts = [
            f"{'.'.join(map(str, item['loc'])) or 'with'}: {item['msg']}" for item in error.errors()
        ]
        return "; ".join(parts)
    if isinstance(error, TemplateError):
        return str(error)
    return str(error) or type(error).__name__
