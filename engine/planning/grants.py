"""Which rights the loaded playbooks and rules need at their connections: found without running anything.

Templates are evaluated as far as inputs, defaults and vars reach. A value that only a run knows (an alert's
label, an earlier step's output) stays in the right as its template, and the right is called open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from engine.contract.action import Action
from engine.contract.registry import Registry
from engine.contract.world import Grant
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
from engine.language.rules import Condition, Rule
from engine.language.templates import TemplateError, is_template, render

_TOKEN = "stanchopen{}x"  # noqa: S105  a word that names, paths and identifiers all may hold
_FOUND = re.compile(r"stanchopen(\d+)x", re.IGNORECASE)


@dataclass(frozen=True)
class Need:
    """One right that one step needs.

    Attributes:
        owner: the playbook, or `rule NAME` for a rule's own queries.
        step: the step's address; empty for a rule.
        open: the templates that stand in the right, since only a run knows their values.
        assumed: parameters that only a run knows, taken at their documented example.
    """

    grant: Grant
    owner: str
    step: str
    action: str
    open: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Undetermined:
    """A step whose rights cannot be told before it runs, and why."""

    owner: str
    step: str
    action: str
    reason: str


@dataclass
class Found:
    """All rights needed, each once for each step."""

    needs: list[Need] = field(default_factory=list)
    undetermined: list[Undetermined] = field(default_factory=list)


def grants_needed(
    programs: Iterable[Program],
    rules: Sequence[Rule],
    registry: Registry,
    kinds: Mapping[str, str],
    given: Mapping[str, Any] | None = None,
) -> Found:
    """Return the rights of every step, also of steps that a condition may leave out.

    Args:
        rules: those whose constant inputs are used for their playbooks, and whose own queries count.
        kinds: each connection's kind, by its name.
        given: inputs that hold whatever rules and defaults say.
    """
    gatherer = _Gatherer(registry, kinds)
    for program in programs:
        asked = [rule.inputs for rule in rules if rule.playbook == program.playbook] or [{}]
        for inputs in asked:
            scope = _scope(program, {**inputs, **(given or {})}, {})
            gatherer.program(program, program.playbook, "", scope)
    for rule in rules:
        owner = f"rule {rule.name}"
        for query in _queries(rule):
            gatherer.query(query, owner, "", {})
    return gatherer.found


class _Open(str):
    """A template that cannot be evaluated before a run."""

    __slots__ = ()


def _scope(program: Program, given: Mapping[str, Any], outer: Mapping[str, Any]) -> JsonObject:
    """Return what a program's templates may name: inputs and vars, without what only a run knows."""
    inputs: JsonObject = {}
    for name, schema in program.inputs.get("properties", {}).items():
        if name in given:
            inputs[name] = _evaluated(given[name], outer)
        elif isinstance(schema, dict) and "default" in schema:
            inputs[name] = schema["default"]
    known = {name: value for name, value in inputs.items() if not _is_open(value)}
    scope: JsonObject = {"inputs": known, "vars": {}}
    for name, value in program.vars.items():
        made = _evaluated(value, scope)
        if not _is_open(made):
            scope["vars"][name] = made
    return scope


def _evaluated(value: Json, scope: Mapping[str, Any]) -> Json:
    """Return `value` with the templates that can be evaluated replaced, the others marked open."""
    if isinstance(value, Mapping):
        return {key: _evaluated(item, scope) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_evaluated(item, scope) for item in value]
    if not is_template(value):
        return value
    try:
        return render(value, scope)
    except TemplateError:
        return _Open(value)


def _is_open(value: Json) -> bool:
    if isinstance(value, Mapping):
        return any(_is_open(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_is_open(item) for item in value)
    return isinstance(value, _Open)


def _queries(rule: Rule) -> Iterator[Query]:
    if rule.query is not None:
        yield rule.query.query
    if rule.condition is not None:
        yield from _asked(rule.condition)


def _asked(condition: Condition) -> Iterator[Query]:
    if condition.query is not None:
        yield condition.query
    for several in (condition.any, condition.all, condition.none):
        for one in several or ():
            yield from _asked(one)


class _Gatherer:
    """Walks programs and collects."""

    def __init__(self, registry: Registry, kinds: Mapping[str, str]) -> None:
        self.registry = registry
        self.kinds = kinds
        self.found = Found()

    def program(self, program: Program, owner: str, prefix: str, scope: Mapping[str, Any]) -> None:
        for nodes in (program.steps, program.rescue, program.finally_):
            for node in nodes:
                self.node(node, owner, prefix, scope)

    def node(self, node: AnyNode, owner: str, prefix: str, scope: Mapping[str, Any]) -> None:
        address = prefix + node.id
        if isinstance(node, ActionNode):
            self.action(node.action, node.with_, owner, address, scope)
            if node.verify is not None:
                self.query(node.verify.query, owner, address, scope)
        elif isinstance(node, WaitNode):
            if node.query is not None:
                self.query(node.query, owner, address, scope)
            if node.read_action is not None:
                self.action(node.read_action, node.read_with, owner, address, scope)
        elif isinstance(node, CallNode):
            inner = _scope(node.program, node.with_, scope)
            self.program(node.program, owner, f"{address}.", inner)
        elif isinstance(node, SwitchNode):
            for nodes in (*(case.steps for case in node.cases), node.default):
                for one in nodes:
                    self.node(one, owner, prefix, scope)
        elif isinstance(node, GroupNode | ParallelNode):
            for one in node.steps:
                self.node(one, owner, prefix, scope)

    def query(self, query: Query, owner: str, step: str, scope: Mapping[str, Any]) -> None:
        name = f"{self.kinds.get(query.connection)}.query"
        given = {"connection": query.connection, "query": query.query, "params": query.params}
        self.action(name, given, owner, step, scope)

    def action(
        self, name: str, given: Mapping[str, Any], owner: str, step: str, scope: Mapping[str, Any]
    ) -> None:
        """Add the rights of one action with these parameters."""
        action = self.registry.action(name)
        filler = _Filler(action, _evaluated(dict(given), scope))
        try:
            rights = action.grants(filler.params())
        except Exception as error:  # noqa: BLE001  a plugin's code; what it cannot say is told
            reason = (
                f"its rights depend on what only a run knows: {' '.join(str(error).split())[:200]}"
            )
            told = Undetermined(owner, step, name, reason)
            if told not in self.found.undetermined:
                self.found.undetermined.append(told)
            return
        for right in rights:
            shown, open_ = filler.restored(right)
            need = Need(shown, owner, step, name, open_, filler.assumed)
            if need not in self.found.needs:
                self.found.needs.append(need)


class _Filler:
    """Parameters for `grants` where some are open: a token stands in for each, or a field's example."""

    def __init__(self, action: Action[Any], values: Mapping[str, Any]) -> None:
        self._action = action
        self._texts: list[str] = []
        self._values = dict(values)
        self.assumed: tuple[str, ...] = ()

    def params(self) -> Any:
        """Return valid parameters.

        Raises:
            ValidationError: there are none near these.
        """
        model = self._action.Params
        opened = [name for name, value in self._values.items() if _is_open(value)]
        values = {name: self._tokens(value) for name, value in self._values.items()}
        for slashed in (False, True):
            if slashed:
                for name in self._wrong(values) & set(opened):
                    values[name] = self._tokens(self._values[name], "/")
        wrong = sorted(self._wrong(values) & set(opened))
        for name in wrong:
            info = model.model_fields[name]
            values[name] = (info.examples or [None])[0]
        self.assumed = tuple(wrong)
        return model.model_validate(values)

    def _wrong(self, values: Mapping[str, Any]) -> set[str]:
        try:
            self._action.Params.model_validate(values)
        except ValidationError as error:
            return {str(one["loc"][0]) for one in error.errors() if one["loc"]}
        return set()

    def _tokens(self, value: Json, before: str = "") -> Json:
        if isinstance(value, Mapping):
            return {key: self._tokens(item, before) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._tokens(item, before) for item in value]
        if not isinstance(value, _Open):
            return value
        if value not in self._texts:
            self._texts.append(str(value))
        return before + _TOKEN.format(self._texts.index(value))

    def restored(self, grant: Grant) -> tuple[Grant, tuple[str, ...]]:
        """Return the right with templates in the place of tokens, and which templates those are."""
        used: dict[str, None] = {}

        def text(match: re.Match[str]) -> str:
            template = self._texts[int(match.group(1))]
            used[template] = None
            return template

        def back(value: Json) -> Json:
            if isinstance(value, str):
                return _FOUND.sub(text, value)
            if isinstance(value, Mapping):
                return {key: back(item) for key, item in value.items()}
            return [back(item) for item in value] if isinstance(value, list | tuple) else value

        connection = back(grant.connection)
        shown = replace(grant, connection=connection, detail=back(grant.detail))
        return shown, tuple(used)
