"""Which actions a playbook uses, with their parameters as far as they are known before a run.

Templates are evaluated as far as inputs, defaults and vars reach; what only a run knows stays a template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.domain.canonical import Json, JsonObject
from engine.language.program import (
    ActionNode,
    AnyNode,
    CallNode,
    GroupNode,
    ParallelNode,
    Program,
    Query,
    SwitchNode,
    WaitNode,
)
from engine.language.scope import TemplateError
from engine.language.templates import render
from engine.language.templatescan import is_template


@dataclass(frozen=True)
class Use:
    """One use of an action by one step. `params` may hold `Open` texts."""

    address: str
    action: str
    params: JsonObject


class Open(str):
    """A template that cannot be evaluated before a run."""

    __slots__ = ()


def scope_of(program: Program, given: Mapping[str, Any], outer: Mapping[str, Any]) -> JsonObject:
    """Return what a program's templates may name: inputs and vars, without what only a run knows."""
    inputs: JsonObject = {}
    for name, schema in program.inputs.get("properties", {}).items():
        if name in given:
            inputs[name] = evaluated(given[name], outer)
        elif isinstance(schema, dict) and "default" in schema:
            inputs[name] = schema["default"]
    known = {name: value for name, value in inputs.items() if not is_open(value)}
    scope: JsonObject = {"inputs": known, "vars": {}}
    for name, value in program.vars.items():
        made = evaluated(value, scope)
        if not is_open(made):
            scope["vars"][name] = made
    return scope


def evaluated(value: Json, scope: Mapping[str, Any]) -> Json:
    """Return `value` with the templates that can be evaluated replaced, the others marked open."""
    if isinstance(value, Mapping):
        return {key: evaluated(item, scope) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [evaluated(item, scope) for item in value]
    if not is_template(value):
        return value
    try:
        return render(value, scope)
    except TemplateError:
        return Open(value)


def is_open(value: Json) -> bool:
    if isinstance(value, Mapping):
        return any(is_open(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(is_open(item) for item in value)
    return isinstance(value, Open)


def use_of_query(
    query: Query, kinds: Mapping[str, str], address: str, scope: Mapping[str, Any]
) -> Use:
    """Return a query as the use of its connection's `KIND.query`.

    Args:
        kinds: each connection's kind, by its name.
    """
    given = {"connection": query.connection, "query": query.query, "params": query.params}
    return _use(address, f"{kinds.get(query.connection)}.query", given, scope)


def uses(
    program: Program, kinds: Mapping[str, str], scope: Mapping[str, Any], prefix: str = ""
) -> Iterator[Use]:
    """Yield every use of an action, also of steps that a condition may leave out."""
    for nodes in (program.steps, program.rescue, program.finally_):
        for node in nodes:
            yield from _of_node(node, kinds, scope, prefix)


def _use(address: str, action: str, given: Mapping[str, Any], scope: Mapping[str, Any]) -> Use:
    return Use(address, action, {name: evaluated(value, scope) for name, value in given.items()})


def _of_node(
    node: AnyNode, kinds: Mapping[str, str], scope: Mapping[str, Any], prefix: str
) -> Iterator[Use]:
    address = prefix + node.id
    if isinstance(node, ActionNode):
        yield _use(address, node.action, node.with_, scope)
        if node.verify is not None:
            yield use_of_query(node.verify.query, kinds, address, scope)
    elif isinstance(node, WaitNode):
        if node.query is not None:
            yield use_of_query(node.query, kinds, address, scope)
        if node.read_action is not None:
            yield _use(address, node.read_action, node.read_with, scope)
    elif isinstance(node, CallNode):
        inner = scope_of(node.program, node.with_, scope)
        yield from uses(node.program, kinds, inner, f"{address}.")
    elif isinstance(node, SwitchNode):
        for nodes in (*(case.steps for case in node.cases), node.default):
            for one in nodes:
                yield from _of_node(one, kinds, scope, prefix)
    elif isinstance(node, GroupNode | ParallelNode):
        for one in node.steps:
            yield from _of_node(one, kinds, scope, prefix)
