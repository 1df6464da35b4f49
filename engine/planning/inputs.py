"""A playbook's inputs against its JSON Schema, with defaults filled; durations that may be templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput
from engine.language.program import Program
from engine.language.templates import render

_MOST = 1024
_SHOWN = 50  # mistakes that are told one by one
# By identity, held by the program itself: hashing its schema would cost more than the check.
_CHECKS: dict[int, _Check] = {}

_TYPES: Mapping[str, frozenset[type]] = {
    "string": frozenset({str}),
    "boolean": frozenset({bool}),
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
}
_SAYS_NOTHING = frozenset({"title", "description", "default", "examples", "$comment"})


def checked_inputs(program: Program, given: Mapping[str, Any]) -> JsonObject:
    """Return `given` with the schema's defaults filled in.

    Raises:
        InvalidInput: with every mistake: the input, what was found and what the schema wants.
    """
    values: JsonObject = dict(given)
    for name, schema in program.inputs.get("properties", {}).items():
        if name not in values and isinstance(schema, dict) and "default" in schema:
            values[name] = schema["default"]
    known = program.inputs.get("properties", {})
    extra = sorted(set(values) - set(known))
    closed = program.inputs.get("additionalProperties", False) is False
    check = _check(program)
    if not (extra and closed) and check.plain is not None and _fits(check.plain, values):
        return values
    mistakes = []
    if extra and closed:
        names = ", ".join(sorted(known)) or "none"
        mistakes += [
            f"playbook {program.playbook} has no input {one!r}; it has: {names}" for one in extra
        ]
    mistakes += _mistakes(
        program, {name: values[name] for name in values if name not in extra} if closed else values
    )
    if mistakes:
        raise InvalidInput(_told(mistakes))
    return values


def _mistakes(program: Program, values: JsonObject) -> list[str]:
    found = sorted(
        _check(program).validator.iter_errors(values), key=lambda item: list(map(str, item.path))
    )
    return [
        f"playbook {program.playbook}: {_where(error.path)}: {error.message}" for error in found
    ]


def _where(path: Iterable[Any]) -> str:
    return ".".join(str(part) for part in path) or "inputs"


def _told(mistakes: Sequence[str]) -> str:
    if len(mistakes) == 1:
        return mistakes[0]
    more = len(mistakes) - _SHOWN
    lines = [f"{len(mistakes)} mistakes in the inputs:", *mistakes[:_SHOWN]]
    return "\n  ".join([*lines, *([f"and {more} more"] if more > 0 else [])])


@dataclass(frozen=True)
class _Check:
    """How inputs of one program are checked.

    Attributes:
        plain: (required names, types by name) of a schema that says no more than that; else None. Most
            say no more, and a run's inputs are checked in the transaction that creates it.
        validator: the whole schema; what does not fit plainly is left to it, and so are the messages.
    """

    program: Program
    plain: tuple[frozenset[str], Mapping[str, frozenset[type]]] | None

    @cached_property
    def validator(self) -> Any:
        from jsonschema import Draft202012Validator

        return Draft202012Validator(self.program.inputs)


def _check(program: Program) -> _Check:
    found = _CHECKS.get(id(program))
    if found is None or found.program is not program:
        if len(_CHECKS) >= _MOST:
            _CHECKS.clear()
        found = _Check(program, _plain(program.inputs))
        _CHECKS[id(program)] = found
    return found


def _plain(schema: JsonObject) -> tuple[frozenset[str], Mapping[str, frozenset[type]]] | None:
    """Return what a schema says, where that is only names, types and which of them are required."""
    known = {"type", "required", "properties", "additionalProperties"} | _SAYS_NOTHING
    if schema.get("type") != "object" or not schema.keys() <= known:
        return None
    types: dict[str, frozenset[type]] = {}
    for name, wanted in schema.get("properties", {}).items():
        if not isinstance(wanted, dict) or not wanted.keys() <= {"type"} | _SAYS_NOTHING:
            return None
        of = wanted.get("type")
        if not isinstance(of, str) or of not in _TYPES:
            return None
        types[name] = _TYPES[of]
    return frozenset(schema.get("required", ())), types


def _fits(
    plain: tuple[frozenset[str], Mapping[str, frozenset[type]]], values: Mapping[str, Any]
) -> bool:
    required, types = plain
    return required <= values.keys() and all(
        name in types and type(value) in types[name] for name, value in values.items()
    )


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
        from engine.language.durations import parse_duration

        return parse_duration(result)
    return float(result)
