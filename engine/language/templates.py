"""`{{ expr }}` in strict, sandboxed Jinja2 (LANGUAGE "YAML and templates"). Alert text is data, never a template.

The interface; the names below are what planner and stepper call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.domain.canonical import Json
from engine.domain.errors import InvalidInput


class TemplateError(InvalidInput):
    """A template could not be compiled or evaluated; the message shows the expression and the cause."""


@dataclass(frozen=True)
class References:
    """What a template names, found without evaluating it.

    Attributes:
        steps: ids that follow `steps.` (state tests such as `steps.x is failed` included).
        roots: the top-level names (`inputs`, `steps`, `item`, `alert`, …).
    """

    steps: frozenset[str]
    roots: frozenset[str]


@dataclass(frozen=True)
class StepView:
    """What `steps.ID` stands for: its output for attribute and item access, its state for tests.

    `state` is one of succeeded, failed, skipped, undone, unknown; `changed` marks a change that changed
    something. Reading the output of a skipped or failed step raises TemplateError naming `address`,
    unless `default` is given. A lone `{{ steps.x }}` yields the output itself.
    """

    address: str
    state: str
    output: Json = None
    changed: bool = False


def references(value: Json) -> References:
    """Return what all templates inside `value` (a string or a tree of JSON) name."""
    raise NotImplementedError


def expression_references(expression: str) -> References:
    """Return what a bare expression (`when`, `until`) names."""
    raise NotImplementedError


def render(value: Json, scope: Mapping[str, Any]) -> Json:
    """Return `value` with every template in it evaluated: a lone `{{ }}` keeps its type, mixed text is text.

    Raises:
        TemplateError: an undefined name, a skipped step's output, a filter's refusal, a limit.
    """
    raise NotImplementedError


def evaluate(expression: str, scope: Mapping[str, Any]) -> bool:
    """Evaluate a bare expression to a real boolean.

    Raises:
        TemplateError: as `render`, and when the result is not a boolean.
    """
    raise NotImplementedError
