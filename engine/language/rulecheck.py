"""Checks rules and conditions against what they name, and rules against one another."""

from __future__ import annotations

from collections.abc import Iterable

from engine.language.diagnostics import Report, clipped, listed, suggestion
from engine.language.inputcheck import check_given
from engine.language.known import Known
from engine.language.naming import RULE_NAMES, Names, check_expression, check_tree
from engine.language.parameters import check_query
from engine.language.rulereading import ReadCondition, ReadRule, RuleFile
from engine.language.schedulereading import read_schedule
from engine.language.yamlnodes import Node

_NAMES = Names(RULE_NAMES)
_FOR_ALERTS = ("firing_for", "count", "run_per", "on_resolved")


def check_rules(file: RuleFile, known: Known, report: Report) -> None:
    """Report every mistake of a file of rules that its shape alone does not show."""
    for condition in file.conditions.values():
        check_condition(condition, known, report)
    for rule in file.rules:
        _check_rule(rule, known, report)
    _unreachable(file, report)


def check_names(files: Iterable[RuleFile], report: Report) -> None:
    """Report rules and conditions that share a name over all files."""
    rules: dict[str, Node] = {}
    conditions: dict[str, Node] = {}
    for file in files:
        for rule in file.rules:
            if rule.name:
                _once("rule", rule.name, rule.node.at("name"), rules, report)
        for name in file.conditions:
            _once("condition", name, file.node.at("conditions").key(name), conditions, report)


def _once(kind: str, name: str, node: Node, seen: dict[str, Node], report: Report) -> None:
    first = seen.setdefault(name, node)
    if first is not node:
        hint = f"its first use is at {first.source.name}:{first.line}; rename one"
        report.error(node, f"the {kind} name {clipped(name)} is used a second time", hint=hint)


def _check_rule(rule: ReadRule, known: Known, report: Report) -> None:
    node = rule.node
    check_tree(node.get("inputs"), _NAMES, report)
    concurrency = node.get("concurrency")
    if concurrency is not None:
        check_tree(concurrency.get("group"), _NAMES, report)
    for name, _ in rule.priority:
        case = node.at("priority").get(name)
        if case is not None and isinstance(case.value, str):
            check_expression(case, _NAMES, report, what=name)
    _condition(rule, known, report)
    _playbook(rule, known, report)
    if rule.trigger and rule.trigger != "matchers":
        for field in _FOR_ALERTS:
            if field in node.keys:
                message = f"{field} is for alerts, and this rule has {rule.trigger}"
                report.error(node.key(field), message, hint="remove it")
    schedule = node.get("schedule")
    if schedule is not None:
        read_schedule(schedule, report)
    query = node.get("query")
    if query is not None:
        check_query(query, None, known, report)
        check_tree(query.get("params"), Names(frozenset()), report)


def _condition(rule: ReadRule, known: Known, report: Report) -> None:
    named = rule.condition_name
    if named is not None and named.value not in known.conditions:
        report.error(
            named,
            f"there is no condition {clipped(named.value)}",
            expected=listed(known.conditions),
            hint=suggestion(named.value, known.conditions)
            or "define it under conditions:, or write it out as a mapping",
        )
    if rule.condition is not None:
        check_condition(rule.condition, known, report)


def _playbook(rule: ReadRule, known: Known, report: Report) -> None:
    node = rule.node.get("playbook")
    if node is None or not isinstance(node.value, str) or rule.form is None:
        return
    target = known.playbooks.get(node.value)
    if target is None:
        report.error(
            node,
            f"there is no playbook {clipped(node.value)}",
            expected=listed(known.playbooks),
            hint=suggestion(node.value, known.playbooks),
        )
        return
    if rule.trigger != "manual":  # a person gives what is missing
        check_given(rule.node.get("inputs"), node, target, report)


def check_condition(condition: ReadCondition, known: Known, report: Report) -> None:
    """Report what is wrong with a condition's queries and expressions, those inside it included."""
    for part in condition.walk():
        node = part.node
        query = node.get("query")
        if query is not None:
            check_query(query, None, known, report)
            check_tree(query.get("params"), _NAMES, report)
            check_tree(query.get("connection"), Names(frozenset()), report)
        check_expression(node.get("expr"), _NAMES, report, what="expr")


def _unreachable(file: RuleFile, report: Report) -> None:
    """Warn of a rule that an earlier one of its file always comes before."""
    for index, rule in enumerate(file.rules):
        if rule.form is None or rule.form.matchers is None:
            continue
        for earlier in file.rules[:index]:
            if _covers(earlier, rule):
                line = earlier.node.line
                report.warning(
                    rule.node.at("name"),
                    f"the rule {rule.name!r} is never asked",
                    f"{earlier.name!r} at line {line} matches all of its alerts first: "
                    "give that continue: true, or move this one up",
                )
                break


def _covers(earlier: ReadRule, later: ReadRule) -> bool:
    first, second = earlier.form, later.form
    if first is None or second is None or first.matchers is None or second.matchers is None:
        return False
    conditional = "condition" in earlier.node.keys
    return (
        not first.continue_
        and not conditional
        and set(map(str, first.matchers)) <= set(map(str, second.matchers))
    )
