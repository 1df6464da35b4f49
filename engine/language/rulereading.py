"""Rules and conditions: from a YAML tree to forms with their places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from engine.language.diagnostics import Report, clipped, described, listed, suggestion
from engine.language.explain import read_form
from engine.language.fileforms import ConditionForm, PriorityForm, RuleForm, RulesFile
from engine.language.valuefields import ExpressionText
from engine.language.yamlnodes import Node

_PRIORITIES = ("P0", "P1", "P2")
_TRIGGERS = ("matchers", "schedule", "query", "manual")
_TESTS = ("any", "all", "none", "labels", "query", "expr")
_ELSEWHERE = {
    "match": "write matchers: with a list of Alertmanager's matchers",
    "matcher": "write matchers:",
    "when": "write condition: {expr: …}",
    "for": "write firing_for:",
    "with": "write inputs:",
    "run": "write playbook:",
    "cron": "write schedule: {cron: …}",
}
_EXPRESSION: TypeAdapter[str] = TypeAdapter(ExpressionText)


@dataclass(eq=False)
class ReadCondition:
    """A condition as it was read; `parts` are those under any, all or none (`kind`)."""

    node: Node
    form: ConditionForm | None
    kind: str = ""
    parts: list[ReadCondition] = field(default_factory=list)

    def walk(self) -> Iterator[ReadCondition]:
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(eq=False)
class ReadRule:
    """A rule as it was read. `condition` is a name's node or what is written out."""

    node: Node
    name: str
    form: RuleForm | None
    trigger: str = ""
    condition_name: Node | None = None
    condition: ReadCondition | None = None
    priority: list[tuple[str, str | bool]] = field(default_factory=list)


@dataclass(eq=False)
class RuleFile:
    """A file of rules and conditions."""

    node: Node
    rules: list[ReadRule]
    conditions: dict[str, ReadCondition]


def read_rules(root: Node, report: Report) -> RuleFile:
    """Read a file of rules or conditions; report what is wrong with its shape."""
    read_form(RulesFile, root, report, what="a file of rules")
    rules = root.get("rules")
    conditions = root.get("conditions")
    return RuleFile(
        root,
        [_rule(node, report) for node in rules.elements()] if rules else [],
        {name: read_condition(node, report) for name, node in conditions.entries()}
        if conditions
        else {},
    )


def _rule(node: Node, report: Report) -> ReadRule:
    value = node.value if isinstance(node.value, dict) else {}
    written = value.get("name")
    name = written if isinstance(written, str) else ""
    what = f"the rule {name!r}" if name else "a rule"
    rule = ReadRule(node, name, read_form(RuleForm, node, report, what=what, sections=_ELSEWHERE))
    if not isinstance(node.value, dict):
        return rule
    rule.trigger = _trigger(node, report)
    condition = node.get("condition")
    if condition is not None and isinstance(condition.value, str):
        rule.condition_name = condition
    elif condition is not None and condition.value is not None:
        rule.condition = read_condition(condition, report)
    priority = node.get("priority")
    if priority is not None:
        rule.priority = _priority(priority, report)
    return rule


def _trigger(node: Node, report: Report) -> str:
    triggers = [key for key in _TRIGGERS if key in node.keys]
    if len(triggers) > 1:
        second = min((node.keys[key] for key in triggers[0:]), key=lambda key: -key.start)
        report.error(
            second,
            f"a rule has one trigger, and this one has {' and '.join(triggers)}",
            hint="make them two rules",
        )
    elif not triggers:
        report.error(
            node,
            "this rule says not what starts it",
            expected="one of " + ", ".join(_TRIGGERS),
            hint="add for example matchers: ['alertname=\"ETLFailed\"']",
        )
    elif triggers == ["manual"] and node.value["manual"] is False:
        report.error(
            node.at("manual"),
            "manual: false starts nothing",
            hint="write manual: true, or matchers",
        )
    return triggers[0] if triggers else ""


def _priority(node: Node, report: Report) -> list[tuple[str, str | bool]]:
    if isinstance(node.value, str):
        if node.value in _PRIORITIES:
            return [(node.value, True)]
        report.error(
            node,
            f"there is no priority {clipped(node.value)}",
            expected=" | ".join(_PRIORITIES),
            hint=suggestion(node.value, _PRIORITIES),
        )
        return []
    if read_form(PriorityForm, node, report, what="priority") is None:
        return []
    found: list[tuple[str, str | bool]] = []
    for name in _PRIORITIES:
        case = node.get(name)
        if case is None or case.value is None:
            continue
        if isinstance(case.value, bool):
            found.append((name, case.value))
            continue
        try:
            found.append((name, _EXPRESSION.validate_python(case.value)))
        except ValidationError:
            report.error(
                case,
                f"{name}: this is of the wrong kind",
                found=described(case.value),
                expected="an expression, or true",
            )
    return found


def read_condition(node: Node, report: Report) -> ReadCondition:
    """Read a condition and those inside it."""
    form = read_form(ConditionForm, node, report, what="the condition")
    read = ReadCondition(node, form)
    if not isinstance(node.value, dict):
        return read
    tests = [key for key in node.keys if key in _TESTS]
    if len(tests) > 1:
        report.error(
            node.keys[tests[1]],
            f"a condition is one test, and this one has {tests[0]} and {tests[1]}",
            hint="put them under all: or any:",
        )
        read.form = None
    elif not tests:
        if all(key in ("is", "on_error") for key in node.keys):
            report.error(
                node,
                "this condition asks nothing",
                found=listed(node.keys) if node.keys else "an empty mapping",
                expected="one of " + ", ".join(_TESTS),
            )
        read.form = None
    else:
        read.kind = tests[0]
        _pairs(node, tests[0], read, report)
    if read.kind in ("any", "all", "none"):
        read.parts = [read_condition(part, report) for part in node.at(read.kind).elements()]
    return read


def _pairs(node: Node, kind: str, read: ReadCondition, report: Report) -> None:
    if kind == "query" and "is" not in node.keys:
        report.error(
            node.keys["query"], "a query needs `is` beside it", hint='add for example is: "> 0"'
        )
        read.form = None
    elif kind != "query" and "is" in node.keys:
        report.error(node.keys["is"], f"`is` goes with query, not with {kind}", hint="remove it")
