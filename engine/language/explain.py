"""Pydantic's errors, placed in the file and put into words for its author."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from engine.language.diagnostics import Report, clipped, described, listed, suggestion
from engine.language.locations import Loc, field_at, follow, model_at, names_at
from engine.language.problems import nearest
from engine.language.yamlnodes import Node

F = TypeVar("F", bound=BaseModel)

_TYPES = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "path_type": "a path",
    "none_required": "nothing (null)",
    "url_type": "a URL",
    "url_parsing": "a URL",
    "datetime_type": "a time such as 2026-11-23T03:15:00Z",
}
_LIMITS = {
    "greater_than": ("gt", "more than {}"),
    "greater_than_equal": ("ge", "{} or more"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "{} or less"),
    "string_too_short": ("min_length", "a text of at least {} characters"),
    "string_too_long": ("max_length", "a text of at most {} characters"),
    "too_short": ("min_length", "at least {} of them"),
    "too_long": ("max_length", "at most {} of them"),
    "string_pattern_mismatch": ("pattern", "a text that matches {}"),
}


def read_form(
    model: type[F], node: Node, report: Report, *, what: str, sections: Mapping[str, str] = {}
) -> F | None:
    """Read a mapping into `model`; report every mistake at its place.

    Where only optional fields are wrong, these are left out and the rest is returned, so that later checks
    still see it.

    Args:
        what: how messages call the mapping: "a step", "this rule".
        sections: fields that would be right elsewhere, and what to say about each.

    Returns:
        The model, or None where what it needs is missing or wrong.
    """
    if not isinstance(node.value, dict):
        if node.sound:
            report.error(
                node, f"{what} must be a mapping", found=described(node.value), expected="a mapping"
            )
        return None
    try:
        return model.model_validate(node.value)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    for one in errors:
        _report(model, node, one, report, what, sections)
    wrong = {one["loc"][0] for one in errors if one["loc"]}
    rest = {name: value for name, value in node.value.items() if name not in wrong}
    try:
        return model.model_validate(rest)
    except ValidationError:
        return None


def report_errors(
    model: type[BaseModel],
    node: Node,
    errors: Sequence[Mapping[str, Any]],
    report: Report,
    *,
    what: str,
    keep: Callable[[Mapping[str, Any]], bool] = lambda _: True,
) -> None:
    """Report those of a validation's errors that `keep` accepts, at their places below `node`."""
    for one in errors:
        if keep(one):
            _report(model, node, one, report, what, {})


def _report(
    model: type[BaseModel],
    root: Node,
    error: Mapping[str, Any],
    report: Report,
    what: str,
    sections: Mapping[str, str],
) -> None:
    loc: Loc = error["loc"]
    kind, context = error["type"], error.get("ctx", {})
    node, rest = follow(root, loc)
    if not node.sound:
        return  # reported when it was read
    name = str(next((part for part in reversed(loc) if isinstance(part, str)), what))
    prefixed = bool(loc) and not rest and loc[-1] != "[key]"
    if kind == "missing":
        _missing(model, loc, node, report, what)
        return
    if kind == "extra_forbidden":
        _unknown_field(model, loc, root, report, what, sections)
        return
    if "index" in context:
        node = node.at(context["index"])
    field = f"{name}: " if prefixed else ""
    if kind == "bad_text":
        report.error(
            node,
            field + context["message"],
            expected=context.get("expected"),
            hint=context["hint"],
            offset=context.get("offset"),
        )
        return
    if kind == "model_type" and getattr(model_at(model, loc), "conceals", False):
        hint = "name the place of the secret: {env: NAME} or {file: path}"
        report.error(node, field + "a secret cannot stand here itself", hint=hint)
        return
    message, expected, todo = _worded(kind, context, node.value, error["msg"])
    shows = kind in _TYPES or kind in _LIMITS or kind == "bad_type"
    report.error(
        node,
        field + message,
        found=described(node.value) if shows else None,
        expected=expected,
        hint=todo,
    )


def _worded(
    kind: str, context: Mapping[str, Any], value: object, text: str
) -> tuple[str, str | None, str | None]:
    """Return message, expectation and hint."""
    if kind == "bad_type":
        return "this is of the wrong kind", context["expected"], context["hint"]
    if kind in _TYPES:
        return f"{_TYPES[kind]} is expected", None, _type_hint(kind, value)
    if kind in ("literal_error", "enum"):
        options = [
            part.strip(" '") for part in context["expected"].replace(" or ", ", ").split(",")
        ]
        near = suggestion(value, options) if isinstance(value, str) else None
        return f"{described(value)} is not allowed here", " | ".join(options), near
    if kind in _LIMITS:
        key, words = _LIMITS[kind]
        message = "this is empty" if value in ("", [], {}) else "this is out of bounds"
        return message, words.format(context.get(key)), None
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", text)), None, None
    return text[:1].lower() + text[1:], None, None


def _type_hint(kind: str, value: object) -> str | None:
    if isinstance(value, str) and "{{" in value:
        return "with text around it a template yields text; write the template alone"
    if kind == "string_type" and isinstance(value, bool | int | float):
        shown = str(value).lower() if isinstance(value, bool) else value
        return f'quote it: "{shown}"'
    if kind.startswith("bool") and isinstance(value, str):
        if value.lower() in ("yes", "no", "on", "off"):
            return "YAML 1.2 knows only true and false"
        return "write it without quotes" if value.lower() in ("true", "false") else None
    if kind.startswith(("int", "float")) and isinstance(value, str):
        bare = value.strip().replace(".", "", 1).lstrip("+-")
        return "write it without quotes" if bare.isdigit() else None
    if kind in ("list_type", "tuple_type") and value is not None:
        shown = value if isinstance(value, str | int | float) else "…"
        return f"write a list: [{shown}]" if not isinstance(value, dict) else "begin each with '- '"
    return None


def _missing(model: type[BaseModel], loc: Loc, node: Node, report: Report, what: str) -> None:
    field = field_at(model, loc)
    expected = field.description if field is not None and field.description else None
    owner = f"in {loc[-2]}" if len(loc) > 1 else f"in {what}"
    examples = field.examples if field is not None else None
    hint = f"add for example {loc[-1]}: {_yaml(examples[0])}" if examples else None
    report.error(
        node, f"{str(loc[-1])!r} is missing {owner}", expected=expected, hint=hint or "add it"
    )


def _yaml(value: object) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _unknown_field(
    model: type[BaseModel],
    loc: Loc,
    root: Node,
    report: Report,
    what: str,
    sections: Mapping[str, str],
) -> None:
    name = str(loc[-1])
    owner, _ = follow(root, loc[:-1])
    known = names_at(model, loc[:-1]) or []
    hint = suggestion(name, [one for one in known if one not in owner.keys])
    if hint is None and (taken := nearest(name, set(known) & set(owner.keys))) is not None:
        hint = f"{taken!r} stands here already; remove this"
    if len(loc) == 1 and hint is None:
        hint = sections.get(name)
    where = f"{loc[-2]}" if len(loc) > 1 else what
    report.error(
        owner.key(name),
        f"there is no field {clipped(name)} in {where}",
        expected=listed(known, 20) if known else None,
        hint=hint,
    )
