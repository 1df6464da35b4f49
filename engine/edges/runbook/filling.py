"""Templates of a playbook as a person reads them: what the inputs tell is filled in, the rest is named.

A name that only a run would know stands as `<steps.rate.value>`, a secret as `<secret 'name'>`: nothing is
resolved, nothing is asked of any system.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.domain.canonical import Json
from engine.domain.errors import StanchError
from engine.language.templates import references, render

_TEMPLATE = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_BLOCK = re.compile(r"\{[%#].*?[%#]\}", re.DOTALL)
_TOLD = frozenset({"inputs", "vars"})


@dataclass(frozen=True)
class Known:
    """What is known of one file: its inputs and variables, the latter filled already."""

    inputs: Mapping[str, Any]
    vars: Mapping[str, Any]

    def fill(self, value: Json) -> Json:
        """Return `value` with its templates filled in or named."""
        if isinstance(value, Mapping):
            return {str(self.fill(name)): self.fill(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill(item) for item in value]
        if not isinstance(value, str) or ("{{" not in value and "{%" not in value):
            return value
        if references(value).roots <= _TOLD:
            try:
                return render(value, {"inputs": dict(self.inputs), "vars": dict(self.vars)})
            except (StanchError, ArithmeticError):
                pass  # an input that was not given, or one that is itself only named
        return _named(value)

    def text(self, value: Json) -> str:
        """As `fill`, on one line."""
        return " ".join(str(self.fill(value)).split())


def _named(text: str) -> str:
    return _BLOCK.sub("", _TEMPLATE.sub(lambda match: f"<{' '.join(match[1].split())}>", text))


def known_of(
    schema: Mapping[str, Any], variables: Mapping[str, Any], given: Mapping[str, Any]
) -> Known:
    """Return what is known of a file that is called with `given`; defaults are filled in."""
    defaults = {
        name: field["default"]
        for name, field in (schema.get("properties") or {}).items()
        if isinstance(field, Mapping) and "default" in field
    }
    inputs = {**defaults, **given}
    filled: dict[str, Any] = {}
    for name, value in variables.items():
        filled[name] = Known(inputs, filled).fill(value)
    return Known(inputs, filled)
