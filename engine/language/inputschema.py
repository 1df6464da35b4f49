"""A playbook's `inputs`: the JSON Schema itself, and what may stand in it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engine.domain.canonical import canonical_json
from engine.language.diagnostics import Report, clipped, described, listed, suggestion
from engine.language.naming import texts
from engine.language.yamlnodes import Node

_DEFS = "#/$defs/"
_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")


def check_schema(node: Node, report: Report) -> None:
    """Check that a playbook's `inputs` is a JSON Schema of an object, and its defaults fit it."""
    if not isinstance(node.value, dict):
        hint = "write inputs: {type: object, properties: {…}}"
        report.error(
            node,
            "inputs must be a JSON Schema",
            found=described(node.value),
            expected="a mapping",
            hint=hint,
        )
        return
    before = len(report.diagnostics)
    for text in texts(node):
        hint = "inputs hold a schema; put what is computed into vars:"
        report.error(text, "a template cannot stand in inputs", hint=hint)
    _check_refs(node, report)
    kind = node.value.get("type", "object")
    if kind != "object":
        report.error(
            node.at("type"),
            "inputs: the type must be object",
            found=described(kind),
            expected="object",
        )
    elif "properties" not in node.value and "type" not in node.value and node.value:
        hint = "put the inputs under properties:"
        report.error(node, "inputs is no JSON Schema of an object", hint=hint)
    if len(report.diagnostics) > before:
        return
    if _check_meta(node, report):
        _check_properties(node, report)


def _check_refs(root: Node, report: Report) -> None:
    """Allow references into the schema's own $defs only, and none that leads back to itself."""
    defs = root.get("$defs")
    known = dict(defs.entries()) if defs is not None else {}
    for reference in _references(root):
        name = str(reference.value).removeprefix(_DEFS)
        if str(reference.value).startswith(_DEFS) and name in known:
            continue
        local = str(reference.value).startswith("#")
        hint = suggestion(name, known) if local else "write the schema here, or under $defs"
        message = (
            "the reference leads nowhere" if local else "a schema cannot refer to another file"
        )
        expected = f"{_DEFS}NAME, NAME being one of {listed(known)}" if local else None
        report.error(reference, message, expected=expected, hint=hint)
    uses = {
        name: {str(one.value).removeprefix(_DEFS) for one in _references(node)}
        for name, node in known.items()
    }
    for name in known:
        reached, waiting = set[str](), [name]
        while waiting:
            new = uses.get(waiting.pop(), set()) - reached
            reached |= new
            waiting += new
        if name in reached and defs is not None:
            hint = "inputs have no endless depth; write the levels out"
            report.error(defs.key(name), f"the schema {name!r} refers to itself", hint=hint)


def _references(node: Node) -> Iterator[Node]:
    for name, item in node.entries():
        if name in ("$ref", "$dynamicRef") and isinstance(item.value, str):
            yield item
        yield from _references(item)
    for item in node.elements():
        yield from _references(item)


def _check_meta(node: Node, report: Report) -> bool:
    if _ordinary(node.value):
        return True
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    wrong = False
    seen: set[tuple[Any, ...]] = set()
    for error in meta.iter_errors(node.value):
        best = best_match([error]) or error
        path = tuple(best.absolute_path)
        if path in seen:
            continue
        seen.add(path)
        wrong = True
        place = node.at(*path)
        if path and path[-1] == "type":
            value = place.value
            near = suggestion(value, _TYPES) if isinstance(value, str) else None
            report.error(
                place,
                f"there is no type {described(value).removeprefix('the text ')}",
                expected=listed(_TYPES),
                hint=near,
            )
            continue
        where = ".".join(map(str, path)) or "inputs"
        report.error(place, f"{where}: this is no valid JSON Schema: {_said(best)}")
    return not wrong


def _ordinary(schema: Any) -> bool:
    """Tell whether a schema is plainly valid, so that the slow check against the meta-schema is not needed."""
    if not isinstance(schema, dict):
        return isinstance(schema, bool)
    return all(name in _ORDINARY and _ORDINARY[name](value) for name, value in schema.items())


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _names(value: object) -> bool:
    unique = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return unique and len(set(value)) == len(value)  # type: ignore[arg-type, call-overload]


_ORDINARY: dict[str, Callable[[Any], bool]] = {
    "type": lambda value: isinstance(value, str) and value in _TYPES,
    "properties": lambda value: isinstance(value, dict) and all(map(_ordinary, value.values())),
    "items": _ordinary,
    "additionalProperties": _ordinary,
    "required": _names,
    "default": lambda _: True,
    "const": lambda _: True,
    "enum": lambda value: isinstance(value, list),
    "examples": lambda value: isinstance(value, list),
    "description": lambda value: isinstance(value, str),
    "title": lambda value: isinstance(value, str),
    "pattern": lambda value: isinstance(value, str),
    "format": lambda value: isinstance(value, str),
    "minimum": _number,
    "maximum": _number,
    "exclusiveMinimum": _number,
    "exclusiveMaximum": _number,
    "minLength": _whole,
    "maxLength": _whole,
    "minItems": _whole,
    "maxItems": _whole,
    "uniqueItems": lambda value: isinstance(value, bool),
}


def _said(error: Any) -> str:
    return str(error.message)[:200]


def misfit(error: Any, value: object) -> tuple[str, str | None, str | None]:
    """Return message, expectation and hint of a value that a schema refuses."""
    wanted = error.validator_value
    if error.validator == "type":
        kinds = [wanted] if isinstance(wanted, str) else list(wanted)
        hint = "write it without quotes" if _number_in_quotes(kinds, value) else None
        if "string" in kinds and isinstance(value, bool | int | float):
            hint = f'quote it: "{str(value).lower() if isinstance(value, bool) else value}"'
        return "it is of the wrong type", " or ".join(kinds), hint
    if error.validator == "enum":
        options = [one for one in wanted if isinstance(one, str)]
        near = suggestion(value, options) if isinstance(value, str) else None
        return "it is none of the allowed values", " | ".join(map(str, wanted)), near
    if error.validator == "required":
        return _said(error), None, None
    return f"it breaks {error.validator}", f"{error.validator}: {wanted}"[:200], None


def _number_in_quotes(kinds: list[str], value: object) -> bool:
    bare = value.removeprefix("-").replace(".", "", 1) if isinstance(value, str) else ""
    return bare.isdigit() and ("integer" in kinds or "number" in kinds)


def _check_properties(node: Node, report: Report) -> None:
    before = len(report.diagnostics)
    properties = node.at("properties").value if node.get("properties") else {}
    for item in node.at("required").elements() if node.get("required") else []:
        if item.value not in properties:
            report.error(
                item,
                f"the required input {clipped(str(item.value))} is not declared",
                expected=listed(properties),
                hint=suggestion(str(item.value), properties) or "declare it under properties:",
            )
    for pattern in _patterns(node):
        try:
            re.compile(pattern.value)
        except re.error as error:
            message = f"the pattern is no regular expression: {error.msg}"
            report.error(pattern, message, offset=error.pos)
    if len(report.diagnostics) > before:
        return
    for name, schema in node.at("properties").entries() if node.get("properties") else ():
        default = schema.get("default")
        if default is not None:
            validator = validator_of(canonical_json(input_schema(node.value, name)))
            for wrong in validator.iter_errors(default.value):
                place = default.at(*wrong.absolute_path)
                message, expected, hint = misfit(wrong, place.value)
                message = f"the default of {name!r} does not fit: {message}"
                found = described(place.value)
                report.error(place, message, found=found, expected=expected, hint=hint)


def _patterns(node: Node) -> Iterator[Node]:
    for name, item in node.entries():
        if name == "pattern" and isinstance(item.value, str):
            yield item
        yield from _patterns(item)
    for item in node.elements():
        yield from _patterns(item)


def input_schema(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return one input's schema with the definitions that it may refer to."""
    properties = schema.get("properties", {})
    one = properties.get(name, True)
    whole = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    return {**whole, **one} if isinstance(one, dict) else {"not": {}} if one is False else whole


@functools.lru_cache(maxsize=1024)
def validator_of(schema: str) -> Any:
    import json

    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema))
