"""The names that a template sees at its place (LANGUAGE: names in scope)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from engine.domain.canonical import Json, JsonObject
from engine.language.scope import StepView
from engine.language.templates import References, expression_references, references
from engine.planning.moves import Place
from engine.planning.progress import RunProgress, StepState, StepStatus

# Marks a secret inside parameters. The value replaces it just before the call and never sooner.
_MARK = "\u2063secret:{name}\u2063"
_MARK_BYTES = "\u2063".encode()


def secret_reference(name: str) -> str:
    """What `secret('name')` yields: a mark that is safe to journal."""
    return _MARK.format(name=name)


def without_marks(value: Json) -> Json:
    """Return data from outside with the mark's character taken out of its texts: it cannot name a secret."""
    try:  # writing it as JSON is far quicker than a walk
        marked = _MARK_BYTES in orjson.dumps(value)
    except TypeError:  # nothing that JSON has, or a lone surrogate
        marked = True
    return _stripped(value) if marked else value


def _stripped(value: Json) -> Json:
    if isinstance(value, str):
        return value.replace("\u2063", "")
    if isinstance(value, dict):
        return {_stripped(key): _stripped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_stripped(item) for item in value]
    return value


@dataclass(frozen=True)
class RunFacts:
    """What every template of a run may name besides its steps.

    Attributes:
        trigger: `{kind, labels, annotations, at, value}`, always.
        alert: the alert as JSON, or None (`alert` is then undefined).
        run: `{id, started_at, priority, mode}`.
    """

    trigger: JsonObject
    run: JsonObject
    alert: JsonObject | None = None
    incident: JsonObject | None = None
    names: JsonObject = field(default_factory=dict)


_VIEW_STATES = {
    StepStatus.SUCCEEDED: "succeeded",
    StepStatus.FAILED: "failed",
    StepStatus.SKIPPED: "skipped",
    StepStatus.UNDONE: "undone",
    StepStatus.UNKNOWN: "unknown",
}


class StepsView(Mapping[str, StepView]):
    """`steps`: looks a step id up from the innermost scope outwards."""

    def __init__(self, progress: RunProgress, scopes: tuple[str, ...]) -> None:
        self._progress = progress
        self._scopes = scopes

    def find(self, step: str) -> StepState | None:
        for scope in self._scopes:
            state = self._progress.steps.get(scope + step)
            if state is not None:
                return state
        return None

    def __getitem__(self, step: str) -> StepView:
        state = self.find(step)
        if state is None:
            # Not reached: the way led past it. Reading it is the same mistake as reading a skipped one.
            return StepView(self._scopes[0] + step, "skipped")
        return StepView(
            state.address,
            _VIEW_STATES.get(state.status, "unknown"),
            state.output,
            state.changed,
        )

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return len(self._progress.steps)


def scope_of(place: Place, progress: RunProgress, facts: RunFacts) -> dict[str, Any]:
    """Return the names in scope at `place`."""
    scope: dict[str, Any] = {
        "inputs": place.inputs,
        "vars": place.vars,
        "steps": StepsView(progress, place.scopes),
        "trigger": facts.trigger,
        "run": facts.run,
        "incident": facts.incident,
        "secret": secret_reference,
        **facts.names,
    }
    if facts.alert is not None:
        scope["alert"] = facts.alert
    if place.has_item:
        scope["item"] = place.item
        scope["key"] = place.key
    if place.handler and place.failure is not None:
        scope["failure"] = place.failure.as_json()
    return scope


def unknown_reason(refs: References, place: Place, progress: RunProgress) -> str | None:
    """Return why something with these references is not known yet, or None where it is."""
    if refs.steps:
        view = StepsView(progress, place.scopes)
        for step in sorted(refs.steps):
            state = view.find(step)
            if state is not None and not state.known:
                return f"known after {state.address}"
    if place.rescue and place.failure is None and "failure" in refs.roots:
        return "known after a failure"
    return None


def value_unknown(value: Json, place: Place, progress: RunProgress) -> str | None:
    """`unknown_reason` of all templates inside a value."""
    return unknown_reason(references(value), place, progress)


def expression_unknown(expression: str, place: Place, progress: RunProgress) -> str | None:
    """`unknown_reason` of a bare expression."""
    return unknown_reason(expression_references(expression), place, progress)
