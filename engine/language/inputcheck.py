"""A playbook's input schema, and values given to it by rules and calling steps."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.domain.canonical import canonical_json
from engine.language import templates
from engine.language.diagnostics import clipped, described, listed, suggestion
from engine.language.explain import Report
from engine.language.naming import texts
from engine.language.parameters import _lone
from engine.language.reading import Playbook
from engine.language.stepnaming import open_inputs
from engine.language.yamlsource import Node

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


def _check_refs(node: Node, report: Report) -> None:
    for name, item in node.entries():
        if name == "$ref" and isinstance(item.value, str) and not item.value.startswith("#"):
            hint = "write the schema here, or under $defs"
            report.error(item, "a schema cannot refer to another file", hint=hint)
        _check_refs(item, report)
    for item in node.elements():
        _check_refs(item, report)


def _check_meta(node: Node, report: Report) -> bool:
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


def _said(error: Any) -> str:
    return str(error.message)[:200]


def _fit(error: Any, value: object) -> tuple[str, str | None, str | None]:
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
            validator = _validator(canonical_json(_sub(node.value, name)))
            for wrong in validator.iter_errors(default.value):
                place = default.at(*wrong.absolute_path)
                message, expected, hint = _fit(wrong, place.value)
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


def _sub(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return one input's schema with the definitions that it may refer to."""
    properties = schema.get("properties", {})
    one = properties.get(name, True)
    whole = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    return {**whole, **one} if isinstance(one, dict) else {"not": {}} if one is False else whole


@functools.lru_cache(maxsize=1024)
def _validator(schema: str) -> Any:
    import json

    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema))


def check_given(node: Node | None, owner: Node, target: Playbook, report: Report) -> None:
    """Check the inputs that a rule or a step gives to a playbook.

    Args:
        node: the mapping of inputs, or None where there is none.
        owner: where a missing input is reported when there is no mapping.
    """
    schema = target.form.inputs if target.form is not None else None
    if not isinstance(schema, dict) or (node is not None and not isinstance(node.value, dict)):
        return
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        return
    given = node.value if node is not None else {}
    required = schema.get("required", [])
    for name in required if isinstance(required, list) else []:
        has_default = isinstance(properties.get(name), dict) and "default" in properties[name]
        if name not in given and not has_default:
            _missing(name, node, owner, target, properties, report)
    for name, item in node.entries() if node is not None else ():
        if name in properties:
            _check_value(name, item, schema, target, report)
        elif not open_inputs(schema):
            assert node is not None
            report.error(
                node.key(name),
                f"the playbook {target.name!r} has no input {clipped(name)}",
                expected=listed(properties),
                hint=suggestion(name, set(properties) - set(given)),
            )


def _missing(
    name: str,
    node: Node | None,
    owner: Node,
    target: Playbook,
    properties: Mapping[str, Any],
    report: Report,
) -> None:
    schema = properties.get(name)
    text = schema.get("description") if isinstance(schema, dict) else None
    kind = schema.get("type") if isinstance(schema, dict) else None
    report.error(
        node if node is not None else owner,
        f"the input {name!r} of {target.name!r} is missing",
        expected=str(text or kind) if text or kind else None,
        hint=f"add {name}: …",
    )


def _check_value(
    name: str, node: Node, schema: Mapping[str, Any], target: Playbook, report: Report
) -> None:
    try:
        validator = _validator(canonical_json(_sub(schema, name)))
        errors = list(validator.iter_errors(node.value))
    except Exception:  # noqa: BLE001  the schema is reported at its own place
        return
    for error in errors:
        place = node.at(*error.absolute_path)
        if next(texts(place), None) is not None and not _surely(place, error):
            continue
        message, expected, hint = _fit(error, place.value)
        report.error(
            place,
            f"the input {name!r} of {target.name!r} does not fit: {message}",
            found=described(place.value),
            expected=expected,
            hint=hint,
        )


def _surely(node: Node, error: Any) -> bool:
    """Tell whether a templated value cannot fit: mixed text where the schema wants no text."""
    return (
        isinstance(node.value, str)
        and templates.is_template(node.value)
        and error.validator == "type"
        and not _lone(node.value)
    )
