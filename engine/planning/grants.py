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
from engine.domain.canonical import Json
from engine.language.program import Program, Query
from engine.language.rules import Condition, Rule
from engine.planning.uses import Open, Use, is_open, scope_of, use_of_query, uses

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
            scope = scope_of(program, {**inputs, **(given or {})}, {})
            gatherer.program(program, program.playbook, scope)
    for rule in rules:
        owner = f"rule {rule.name}"
        for query in _queries(rule):
            gatherer.action(use_of_query(query, kinds, "", {}), owner)
    return gatherer.found


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

    def program(self, program: Program, owner: str, scope: Mapping[str, Any]) -> None:
        for use in uses(program, self.kinds, scope):
            self.action(use, owner)

    def action(self, use: Use, owner: str) -> None:
        """Add the rights of one action with these parameters."""
        action = self.registry.action(use.action)
        filler = _Filler(action, use.params)
        try:
            rights = action.grants(filler.params())
        except Exception as error:  # noqa: BLE001  a plugin's code; what it cannot say is told
            reason = (
                f"its rights depend on what only a run knows: {' '.join(str(error).split())[:200]}"
            )
            told = Undetermined(owner, use.address, use.action, reason)
            if told not in self.found.undetermined:
                self.found.undetermined.append(told)
            return
        for right in rights:
            shown, open_ = filler.restored(right)
            need = Need(shown, owner, use.address, use.action, open_, filler.assumed)
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
        opened = [name for name, value in self._values.items() if is_open(value)]
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
        if not isinstance(value, Open):
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
