"""Which rules take an alert: matchers first, then conditions; in each file the first that matches wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.domain.incident import MAINTENANCE_PRIORITY, PRIORITIES
from engine.incidents.conditions import Ask, judge
from engine.journal.rows import AlertRow
from engine.language.matchindex import MatchIndex
from engine.language.rules import Priority, Rule
from engine.language.templates import evaluate


class RuleBook:
    """The loaded rules, made ready to be asked. Immutable: a reload makes a new one."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules: Mapping[str, Rule] = {rule.name: rule for rule in rules}
        self.scheduled = tuple(rule for rule in rules if rule.schedule is not None)
        self.querying = tuple(rule for rule in rules if rule.query is not None)
        self._index = MatchIndex(
            [(rule, rule.matchers) for rule in rules if rule.matchers is not None]
        )

    def candidates(self, labels: Mapping[str, str]) -> Sequence[Rule]:
        """The rules whose matchers hold, in the order of their files."""
        return self._index.candidates(labels)


@dataclass(frozen=True)
class Match:
    """One rule that matched by its matchers.

    Attributes:
        refused: why its condition does not hold; None where it does.
        note: what is to be said of a condition that holds although it could not be told.
    """

    rule: Rule
    refused: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Prepared:
    """An alert with what was found out about it before the transaction that decides.

    Attributes:
        scope: what the rules' templates see.
        postponed: the rule that had postponed it; then only that rule is asked again.
    """

    row: AlertRow
    scope: JsonObject
    matches: tuple[Match, ...] = field(default_factory=tuple)
    postponed: str | None = None


def alert_json(row: AlertRow) -> JsonObject:
    """The alert as templates and runs see it: its own fields, its id and its group's labels."""
    return {"id": row.id, "group_labels": dict(row.group_labels), **row.alert.as_json()}


def alert_scope(row: AlertRow) -> JsonObject:
    """The names that a rule's templates may use: `alert`, `trigger` and `vars`."""
    alert = alert_json(row)
    trigger = {
        "kind": "alert",
        "labels": alert["labels"],
        "annotations": alert["annotations"],
        "at": alert["starts_at"],
        "value": None,
    }
    return {"alert": alert, "trigger": trigger, "vars": {}}


def fire_scope(kind: str, rule: Rule, at: str, value: float | None) -> JsonObject:
    """As `alert_scope`, for a schedule's or a query's fire: there is no `alert`."""
    labels = {"rule": rule.name}
    trigger = {"kind": kind, "labels": labels, "annotations": {}, "at": at, "value": value}
    return {"trigger": trigger, "vars": {}}


def match(book: RuleBook, row: AlertRow, scope: JsonObject, ask: Ask) -> tuple[Match, ...]:
    """Return the rules that take the alert, and those whose condition refused it, in order.

    Files are independent. Within one the first rule that matches (its condition included) ends the
    file unless it says `continue`; one whose condition does not hold lets the next be asked.
    """
    found: list[Match] = []
    ended: set[str] = set()
    for rule in book.candidates(row.alert.labels):
        if rule.file in ended:
            continue
        one = match_rule(rule, scope, ask)
        found.append(one)
        if one.refused is None and not rule.continue_:
            ended.add(rule.file)
    return tuple(found)


def match_rule(rule: Rule, scope: JsonObject, ask: Ask) -> Match:
    """Judge the condition of a rule whose matchers hold."""
    if rule.condition is None or rule.mode == "off":
        return Match(rule)
    judgement = judge(rule.condition, scope, ask)
    if not judgement.holds:
        return Match(rule, refused=judgement.why)
    return Match(rule, note=judgement.why if "on_error" in judgement.why else "")


def member(row: AlertRow) -> str:
    """What a window counts: one episode of one alert, however often it is delivered."""
    return f"{row.alert.fingerprint}@{format_time(row.alert.starts_at)}"


def priority_of(rule: Rule, scope: JsonObject) -> int:
    """P0 is asked first, then P1, then P2; the first that holds. A bare schedule is maintenance.

    Raises:
        TemplateError: an expression cannot be evaluated.
    """
    if rule.schedule is not None and rule.priority == Priority():
        return MAINTENANCE_PRIORITY
    for name, case in sorted(rule.priority.cases):
        holds = case if isinstance(case, bool) else evaluate(case, scope)
        if holds:
            return PRIORITIES[name]
    return rule.priority.default
