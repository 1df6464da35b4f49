"""A playbook's inputs against its JSON Schema, with defaults filled; durations that may be templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.language.program import Program
from engine.language.templates import render

_MOST = 1024
# By identity, held by the program itself: hashing its schema would cost more than the check.
_VALIDATORS: dict[int, tuple[Program, Any]] = {}


def checked_inputs(program: Program, given: Mapping[str, Any]) -> JsonObject:
    """Return `given` with the schema's defaults filled in.

    Raises:
        InvalidInput: naming the playbook, the input, what was found and what the schema wants.
    """
    values: JsonObject = dict(given)
    for name, schema in program.inputs.get("properties", {}).items():
        if name not in values and isinstance(schema, dict) and "default" in schema:
            values[name] = schema["default"]
    known = program.inputs.get("properties", {})
    extra = sorted(set(values) - set(known))
    if extra and program.inputs.get("additionalProperties", False) is False:
        raise InvalidInput(
            f"playbook {program.playbook} has no input {extra[0]!r}; it has: {', '.join(sorted(known)) or 'none'}"
        )
    validator = _validator(program)
    for error in sorted(validator.iter_errors(values), key=lambda item: list(map(str, item.path))):
        where = ".".join(str(part) for part in error.path) or "inputs"
        raise InvalidInput(f"playbook {program.playbook}: {where}: {error.message}")
    return values


def _validator(program: Program) -> Any:
    found = _VALIDATORS.get(id(program))
    if found is None or found[0] is not program:
        from jsonschema import Draft202012Validator

        if len(_VALIDATORS) >= _MOST:
            _VALIDATORS.clear()
        found = _VALIDATORS[id(program)] = (program, Draft202012Validator(program.inputs))
    return found[1]


def seconds(value: float | str, scope: Mapping[str, Any]) -> float:
    """Return a duration in seconds: a number, or a template that yields one.

    Raises:
        InvalidInput: the template yields neither a number nor a duration text such as `15m`.
    """
    if isinstance(value, int | float):
        return float(value)
    result = render(value, scope)
    if isinstance(result, bool) or not isinstance(result, int | float | str):
        raise InvalidInput(f"{value!r} yields {result!r}, which is not a duration such as 15m")
    if isinstance(result, str):
        from engine.language.units import parse_duration

        return parse_duration(result)
    return float(result)
