"""Checks an action's parameters, as far as templates leave them known, and the connections they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from engine.domain.promql import PromqlError, placeholders
from engine.language.diagnostics import Report, clipped, listed, suggestion
from engine.language.explain import report_errors
from engine.language.forms import has_template
from engine.language.known import ActionShape, Known
from engine.language.locations import follow, names_at
from engine.language.problems import BadText
from engine.language.sqltext import sql_problems
from engine.language.templatescan import is_template, scan
from engine.language.yamlnodes import Node

_ONLY_TEXT = {"int_type", "int_parsing", "float_type", "float_parsing", "bool_type", "bool_parsing"}
_ONLY_TEXT |= {"list_type", "tuple_type", "dict_type", "model_type", "model_attributes_type"}


@dataclass(frozen=True)
class Given:
    """An action's parameters where they stand.

    Attributes:
        node: the `with` mapping, or the step where it has none.
        defaults: the playbook's defaults for the action's system, with their nodes.
    """

    node: Node
    defaults: Mapping[str, Node]


def merged(
    action: ActionShape, given: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the parameters with those defaults added that the action has a field for."""
    fields = names_at(action.Params, ()) or []
    return {**{name: value for name, value in defaults.items() if name in fields}, **given}


def check_action(name_node: Node, given: Given, known: Known, report: Report) -> ActionShape | None:
    """Check an action's name and parameters. Returns the action, or None where there is none."""
    name = name_node.value
    action = known.actions.get(name)
    if action is None:
        _unknown_action(name_node, known, report)
        return None
    nodes = {**_fields_of(action, given.defaults), **dict(given.node.entries())}
    _check_params(action, name_node, given.node, nodes, report)
    _check_languages(action, nodes, report)
    connection = nodes.get("connection")
    if connection is not None:
        check_connection(connection, {name.partition(".")[0]}, name, known, report)
    return action


def _fields_of(action: ActionShape, defaults: Mapping[str, Node]) -> dict[str, Node]:
    fields = names_at(action.Params, ()) or []
    return {name: node for name, node in defaults.items() if name in fields}


def _unknown_action(node: Node, known: Known, report: Report) -> None:
    why = known.why_missing(node.value)
    if why is not None:
        message = f"the action {node.value} is missing, since its plugin could not be loaded"
        report.error(node, message, found=why, hint="mend the plugin, or take it away")
        return
    system = node.value.partition(".")[0]
    same = [name for name in known.actions if name.partition(".")[0] == system]
    report.error(
        node,
        f"there is no action {clipped(node.value)}",
        expected=listed(same or known.actions),
        hint=suggestion(node.value, same) or suggestion(node.value, known.actions),
    )


def _check_params(
    action: ActionShape, name_node: Node, own: Node, nodes: Mapping[str, Node], report: Report
) -> None:
    values = {name: node.value for name, node in nodes.items()}
    try:
        action.Params.model_validate(values)
        return
    except ValidationError as error:
        errors = error.errors(include_url=False)
    except Exception as error:  # noqa: BLE001  a plugin's validator is foreign code
        if not any(_templated(node) for node in nodes.values()):
            report.error(name_node, f"the parameters are refused: {error}")
        return
    # Fields from `defaults` stand elsewhere in the file, so each error is placed below its own node.
    root = Node(own.source, values, own.line, own.column, own.start, own.end)
    root.items, root.keys = dict(nodes), dict(own.keys)
    if not own.keys:
        root.line, root.column = name_node.line, name_node.column
    for name, node in nodes.items():
        root.keys.setdefault(name, node)
    report_errors(
        action.Params, root, errors, report, what=action.name, keep=lambda one: _stands(root, one)
    )


def _stands(root: Node, error: Mapping[str, Any]) -> bool:
    """Tell whether an error holds whatever the templates inside the value yield."""
    node, _ = follow(root, error["loc"])
    if error["type"] in ("missing", "extra_forbidden"):
        return True
    if isinstance(node.value, str) and is_template(node.value):
        return error["type"] in _ONLY_TEXT and not is_lone(node.value)
    return not _templated(node)


def _templated(node: Node) -> bool:
    if isinstance(node.value, str):
        return is_template(node.value)
    return any(_templated(item) for item in _items(node))


def _items(node: Node) -> Iterator[Node]:
    if isinstance(node.items, dict):
        yield from node.items.values()
    else:
        yield from node.elements()


def is_lone(text: str) -> bool:
    """Tell whether a text is one template and so keeps the type of its expression."""
    try:
        found = scan(text)
    except BadText:
        return True  # reported as a bad template
    return len(found) == 1 and found[0][:2] == (0, len(text))


# ---- texts in another language --------------------------------------------------------------------


def _check_languages(action: ActionShape, nodes: Mapping[str, Node], report: Report) -> None:
    for name, field in action.Params.model_fields.items():
        extra = field.json_schema_extra
        node = nodes.get(field.alias or name)
        if not isinstance(extra, dict) or node is None or not isinstance(node.value, str):
            continue
        if extra.get("x-language") == "sql":
            _check_sql(node, report)
        elif extra.get("x-language") == "promql":
            check_promql(node, nodes.get("params"), report)


def language_fields(action: ActionShape) -> set[str]:
    """Return the names of parameters whose text is SQL or PromQL and so no template."""
    return {
        field.alias or name
        for name, field in action.Params.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and "x-language" in field.json_schema_extra
    }


def _check_sql(node: Node, report: Report) -> None:
    if has_template(node.value):
        report.error(
            node,
            "a template cannot stand inside SQL",
            hint='write %(name)s in the SQL, and name: "{{ … }}" under params',
            offset=node.value.find("{{"),
        )
        return
    for offset, message, hint in sql_problems(node.value):
        report.error(node, message, hint=hint, offset=offset)


def check_promql(node: Node, params: Node | None, report: Report) -> None:
    """Check a PromQL text: no templates, and every `$name` bound."""
    if has_template(node.value):
        report.error(
            node,
            "a template cannot stand inside PromQL",
            hint='write "$name" in the query, and name: "{{ … }}" under params',
            offset=node.value.find("{{"),
        )
        return
    try:
        wanted = placeholders(node.value)
    except PromqlError as error:
        report.error(node, str(error))
        return
    if params is not None and not isinstance(params.value, dict):
        return  # a lone template, or reported
    given = params.value if params is not None else {}
    for name in sorted(wanted - set(given)):
        report.error(
            node,
            f"the query's ${name} has no value",
            expected=f"{name} under params",
            hint=suggestion(name, set(given) - wanted) or f'add params: {{{name}: "{{{{ … }}}}"}}',
            offset=node.value.find(f"${name}"),
        )
    for name in sorted(set(given) - wanted):
        assert params is not None
        hint = suggestion(name, wanted)
        message = f"the query has no ${name}"
        report.error(params.key(name), message, hint=hint or "remove it, or use it in the query")


# ---- connections ----------------------------------------------------------------------------------


def check_connection(node: Node, kinds: set[str], user: str, known: Known, report: Report) -> None:
    """Check that a connection exists and is of one of `kinds`."""
    name = node.value
    if not isinstance(name, str) or is_template(name):
        return
    kind = known.connections.get(name)
    right = [one for one, its in known.connections.items() if its in kinds]
    if kind is None:
        report.error(
            node,
            f"there is no connection {clipped(name)}",
            expected=listed(right or known.connections),
            hint=suggestion(name, right)
            or suggestion(name, known.connections)
            or "name it under connections: in the configuration",
        )
    elif kinds & set(known.kinds) and kind not in kinds:
        report.error(
            node,
            f"the connection {clipped(name)} is of kind {kind}",
            expected=f"a connection of kind {' or '.join(sorted(kinds))} for {user}",
            hint=f"there is {listed(right)}" if right else None,
        )


def check_query(node: Node, default: Node | None, known: Known, report: Report) -> None:
    """Check a `query:` of a wait, a verify, a rule or a condition: its connection and its text."""
    if not isinstance(node.value, dict):
        return
    connection = node.get("connection") or default
    if connection is None:
        kinds = known.query_kinds()
        right = [name for name, kind in known.connections.items() if kind in kinds]
        hint = f"add for example connection: {sorted(right)[0]}" if right else "add connection:"
        report.error(node, "the query names no connection", expected=listed(right), hint=hint)
    else:
        check_connection(connection, known.query_kinds(), "a query", known, report)
    text = node.get("query")
    if text is not None and isinstance(text.value, str):
        check_promql(text, node.get("params"), report)
