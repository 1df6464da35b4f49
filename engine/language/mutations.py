"""Faults that are planted in playbooks and rules, to see that a rehearsal notices them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from engine.domain.canonical import Json, JsonObject
from engine.domain.errors import InvalidInput
from engine.language.diagnostics import Report, listed, suggestion
from engine.language.explain import read_form
from engine.language.forms import Form
from engine.language.namefields import PlaybookName, RuleName
from engine.language.program import Program
from engine.language.rehearsalforms import ExpectForm
from engine.language.rules import Rule
from engine.language.yamlnodes import Node

SUFFIXES = (".mutations.yaml", ".mutations.yml")


class ReplaceForm(Form):
    """A text that is put in the place of another, wherever it stands."""

    from_: str = Field(alias="from", description="The text that stands there", min_length=1)
    to: str = Field(description="The text instead")


class MutationForm(Form):
    """One fault: a step dropped, a value set, or a text replaced."""

    mutation: str = Field(description="What is wrong then", examples=["the gate is forgotten"])
    playbook: PlaybookName | None = Field(
        None, description="The playbook that is changed, wherever it is called"
    )
    rule: RuleName | None = Field(None, description="The rule that is changed")
    step: str | None = Field(None, description="The step that `set` and `replace` are held to")
    drop: str | None = Field(None, description="The step that is left out, by its id")
    set: dict[str, Any] = Field(
        {},
        description="Values by path: in the step, else in the playbook or rule",
        examples=[{"with.replicas": 4}],
    )
    replace: ReplaceForm | None = Field(None, description="A text put in another's place")
    fails: str | list[str] = Field(
        description="The rehearsals, by name, that must fail then", examples=["nothing helps"]
    )
    by: str | None = Field(
        None,
        description="The key of expect: under which something must then not hold; any where left out",
        examples=["changes"],
    )
    covers: list[str] = Field([], description="Rows of the coverage table", examples=[["W6"]])

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.playbook is None) == (self.rule is None):
            raise ValueError("name a playbook or a rule, one of them")
        if sum((self.drop is not None, bool(self.set), self.replace is not None)) != 1:
            raise ValueError("give drop, set or replace, one of them")
        if self.rule is not None and (self.drop or self.step):
            raise ValueError("rules have no steps")
        if self.by is not None and self.by not in ExpectForm.model_fields:
            raise ValueError(f"by: names a key of expect:, {', '.join(ExpectForm.model_fields)}")
        return self

    @property
    def failing(self) -> tuple[str, ...]:
        return (self.fails,) if isinstance(self.fails, str) else tuple(self.fails)


class MutationsFile(Form):
    """Faults to plant."""

    mutations: list[Any] = Field(description="The faults", min_length=1)


@dataclass(eq=False)
class Mutation:
    """A fault as it was read."""

    node: Node
    form: MutationForm
    path: Path

    @property
    def place(self) -> str:
        return f"{self.node.source.name}:{self.node.line}"


def is_mutations(path: Path) -> bool:
    """Tell by its name whether a file lists mutations; they are read only when they are wanted."""
    return path.name.endswith(SUFFIXES)


def read_mutations(root: Node, path: Path, report: Report) -> list[Mutation]:
    """Read a file of mutations; report what is wrong with it."""
    if read_form(MutationsFile, root, report, what="the file of mutations") is None:
        return []
    found = []
    for node in root.at("mutations").elements():
        form = read_form(MutationForm, node, report, what="the mutation")
        if form is not None:
            found.append(Mutation(node, form, path))
    return found


# ---- planting -------------------------------------------------------------------------------------


def mutate(program: Program, form: MutationForm) -> Program:
    """Return the program with the fault planted, in itself and in all that it calls.

    Raises:
        InvalidInput: there is nothing to change at that place; or the changed program is none.
    """
    data = json.loads(program.frozen_text)
    changed = [
        _in_program(one, form) for one in _programs(data) if one["playbook"] == form.playbook
    ]
    if not any(changed):
        raise InvalidInput(f"{form.mutation}: {_where(form)} is not in {form.playbook}")
    try:
        return Program.model_validate(data)
    except ValueError as error:
        raise InvalidInput(f"{form.mutation}: the playbook cannot be changed so: {error}") from None


def mutate_rule(rule: Rule, form: MutationForm) -> Rule:
    """Return the rule with the fault planted. Raises InvalidInput as `mutate`."""
    data = rule.model_dump(by_alias=True)
    if not _change(data, form):
        raise InvalidInput(f"{form.mutation}: {_where(form)} is not in rule {form.rule}")
    try:
        return Rule.model_validate(data)
    except ValueError as error:
        raise InvalidInput(f"{form.mutation}: the rule cannot be changed so: {error}") from None


def calls(program: Program, name: str) -> bool:
    """Tell whether a program is, or calls, the playbook of that name."""
    return any(one["playbook"] == name for one in _programs(json.loads(program.frozen_text)))


def known(name: str, names: Mapping[str, Any], what: str) -> None:
    """Raise InvalidInput with the nearest name where there is no such thing."""
    if name not in names:
        near = suggestion(name, names) or f"there are {listed(names)}"
        raise InvalidInput(f"there is no {what} {name!r}; {near}")


def _programs(data: Json) -> list[JsonObject]:
    """Return a program and all that it calls, as they stand in its JSON."""
    found: list[JsonObject] = []

    def visit(value: Json) -> None:
        if isinstance(value, dict):
            if "playbook" in value and "steps" in value:
                found.append(value)
            for item in value.values():
                visit(item)
        elif isinstance(value, list):
            for item in value:
                visit(item)

    visit(data)
    return found


def _in_program(data: JsonObject, form: MutationForm) -> bool:
    if form.drop is not None:
        wanted = form.drop
        return _each_list(data, lambda steps: _drop(steps, wanted))
    if form.step is None:
        return _change(data, form)
    wanted = form.step
    return _each_list(
        data,
        lambda steps: any(_change(one, form) for one in steps if one.get("id") == wanted),
    )


def _each_list(data: JsonObject, act: Callable[[list[JsonObject]], bool]) -> bool:
    """Do something with every list of steps of one playbook, called ones left out."""
    done = False
    for name, value in data.items():
        if name == "program":
            continue
        items = value if isinstance(value, list) else [value]
        if isinstance(value, list) and value and all(_is_step(one) for one in value):
            done |= act(value)
        for one in items:
            if isinstance(one, dict):
                done |= _each_list(one, act)
    return done


def _is_step(value: Json) -> bool:
    return isinstance(value, dict) and "id" in value and "kind" in value


def _drop(steps: list[JsonObject], wanted: str) -> bool:
    kept = [one for one in steps if one["id"] != wanted]
    dropped = len(kept) < len(steps)
    steps[:] = kept
    return dropped


def _change(data: JsonObject, form: MutationForm) -> bool:
    if form.replace is not None:
        before = json.dumps(data)
        _replace(data, form.replace.from_, form.replace.to)
        return json.dumps(data) != before
    return all(_set(data, path.split("."), value) for path, value in form.set.items())


def _set(data: Json, path: list[str], value: Any) -> bool:
    for part in path[:-1]:
        data = data.get(part) if isinstance(data, dict) else None
    if not isinstance(data, dict) or path[-1] not in data or data[path[-1]] == value:
        return False
    data[path[-1]] = value
    return True


def _replace(data: Json, old: str, new: str) -> None:
    pairs = data.items() if isinstance(data, dict) else enumerate(data)
    for name, value in list(pairs):
        if isinstance(value, str):
            data[name] = value.replace(old, new)
        elif isinstance(value, dict | list):
            _replace(value, old, new)


def _where(form: MutationForm) -> str:
    if form.drop is not None:
        return f"the step {form.drop}"
    if form.replace is not None:
        return f"the text {form.replace.from_!r}"
    return f"one of {', '.join(form.set)}" + (f" of the step {form.step}" if form.step else "")
