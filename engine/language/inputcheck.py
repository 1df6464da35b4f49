"""Checks the inputs that rules and calling steps give to a playbook, as far as templates leave them known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.domain.canonical import canonical_json
from engine.language.diagnostics import Report, clipped, described, listed, suggestion
from engine.language.inputschema import input_schema, misfit, validator_of
from engine.language.naming import texts
from engine.language.parameters import is_lone
from engine.language.reading import Playbook
from engine.language.stepnaming import open_inputs
from engine.language.templatescan import is_template
from engine.language.yamlnodes import Node


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
    if is_template(node.value) and is_lone(node.value):
        return  # of whatever type its expression has
    try:
        validator = validator_of(canonical_json(input_schema(schema, name)))
        errors = list(validator.iter_errors(node.value))
    except Exception:  # noqa: BLE001  the schema is reported at its own place
        return
    for error in errors:
        place = node.at(*error.absolute_path)
        if next(texts(place), None) is not None and not _surely(place, error):
            continue
        message, expected, hint = misfit(error, place.value)
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
        and is_template(node.value)
        and error.validator == "type"
        and not is_lone(node.value)
    )
