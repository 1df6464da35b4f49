"""Pydantic's errors, placed in the file and put into words for its author."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from engine.language.diagnostics import Diagnostic, clipped, described, listed, suggestion
from engine.language.problems import nearest
from engine.language.yamlsource import Node

F = TypeVar("F", bound=BaseModel)
Loc = tuple[str | int, ...]

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


class Report:
    """Collects what is wrong, at the place of a node."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []

    def error(
        self,
        node: Node,
        message: str,
        *,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
        offset: int | None = None,
    ) -> None:
        """Add a mistake at `node`, or at the character `offset` of its text."""
        line, column = node.place(offset)
        name = node.source.name
        self.diagnostics.append(Diagnostic(name, line, column, message, found, expected, hint))

    def warning(self, node: Node, message: str, hint: str | None = None) -> None:
        """Add something that works, but hardly as meant."""
        line, column = node.place()
        one = Diagnostic(node.source.name, line, column, message, hint=hint, severity="warning")
        self.diagnostics.append(one)

    @property
    def failed(self) -> bool:
        return any(one.is_error for one in self.diagnostics)


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
    if kind == "model_type" and getattr(_named(model, loc), "conceals", False):
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


# ---- from a validation's location to a node and a type --------------------------------------------


def follow(root: Node, loc: Loc) -> tuple[Node, Loc]:
    """Return the deepest node on the way of a location, and the parts that remain.

    Parts that name a member of a union have no node and are passed over.
    """
    node = root
    rest: list[str | int] = []
    for index, part in enumerate(loc):
        child = node.get(part)
        if child is not None:
            node = child
            rest = []
        elif part == "[key]" and index:
            return _parent(root, loc[:index]).key(str(loc[index - 1])), ()
        else:
            rest.append(part)
    return node, tuple(part for part in rest if not _is_union_part(part))


def _parent(root: Node, loc: Loc) -> Node:
    return follow(root, loc[:-1])[0]


def _is_union_part(part: str | int) -> bool:
    if isinstance(part, int):
        return False
    return (
        part in ("str", "int", "float", "bool", "none")
        or not part.isidentifier()
        or part[0].isupper()
    )


def field_at(model: type[BaseModel], loc: Loc) -> Any:
    """Return pydantic's description of the field at a location, or None."""
    owner = _type_at(model, loc[:-1])
    if owner is None or not loc:
        return None
    for name, field in owner.model_fields.items():
        if loc[-1] in (name, field.alias):
            return field
    return None


def names_at(model: type[BaseModel], loc: Loc) -> list[str] | None:
    """Return the field names of the mapping at a location, or None where that is no model."""
    owner = _type_at(model, loc)
    if owner is None:
        return None
    return [field.alias or name for name, field in owner.model_fields.items()]


def _named(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """Return the model that a location wants, of a union the first that is one."""
    field = field_at(model, loc)
    if field is None:
        return _type_at(model, loc)
    models = [one for one in _members(field.annotation) if _is_model(one)]
    return models[0] if models else None


def _type_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    current: Any = model
    for part in loc:
        if isinstance(part, str) and _is_model(current):
            field = next(
                (one for key, one in current.model_fields.items() if part in (key, one.alias)), None
            )
            if field is not None:
                current = _bare(field.annotation)
                continue
        current = _inside(current, part)
        if current is None:
            return None
    models = [one for one in _members(current) if _is_model(one)]
    return models[0] if len(models) == 1 else None


def _inside(current: Any, part: str | int) -> Any:
    for member in _members(current):
        if _is_model(member):
            if part == member.__name__:
                return member
            for key, field in member.model_fields.items():
                if part in (key, field.alias):
                    return _bare(field.annotation)
        origin, args = get_origin(member), get_args(member)
        if isinstance(part, int) and origin in (list, tuple) and args:
            return _bare(args[0])
        if isinstance(part, str) and origin in (dict, Mapping) and len(args) == 2:
            return _bare(args[1])
    return None


def _members(annotation: Any) -> list[Any]:
    bare = _bare(annotation)
    if get_origin(bare) in (Union, types.UnionType):
        return [_bare(one) for one in get_args(bare)]
    return [bare]


def _bare(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if isinstance(annotation, typing.TypeAliasType if hasattr(typing, "TypeAliasType") else ()):
        return _bare(annotation.__value__)
    return annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
