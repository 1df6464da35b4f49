"""Does a rule's condition hold? Three-valued: it does, it does not, it cannot be told.

Labels and expressions are asked before queries, so that a query is made only where it decides. What
cannot be told bubbles up to the node that says `on_error`; where nobody says anything it is a skip.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.domain.canonical import canonical_json
from engine.domain.errors import ActionFailed, Category, InvalidInput
from engine.incidents.ports import QueryPort
from engine.language.comparisons import format_comparison, holds
from engine.language.matchers import matches_all
from engine.language.program import Query
from engine.language.rules import Condition
from engine.language.templates import evaluate, render

Ask = Callable[[Query], float | None]
Scope = Mapping[str, Any]

_ABOUT_THE_QUERY = frozenset({Category.DATA, Category.PERMANENT})


@dataclass(frozen=True)
class Judgement:
    """Whether a condition holds (None: it cannot be told) and why, in words."""

    holds: bool | None
    why: str


class Answers:
    """The queries of one batch, each asked once. A connection that fails is not asked again in it.

    Otherwise a metrics server that hangs would cost its time-out for every alert of a storm.
    """

    def __init__(self, port: QueryPort | None) -> None:
        self._port = port
        self._known: dict[tuple[str, str, str], float | ActionFailed | None] = {}
        self._down: dict[str, ActionFailed] = {}

    def ask(self, query: Query) -> float | None:
        """Raises ActionFailed where it cannot be answered."""
        if query.connection in self._down:
            raise self._down[query.connection]
        key = (query.connection, query.query, canonical_json(query.params))
        if key not in self._known:
            self._known[key] = self._first(query)
        answer = self._known[key]
        if isinstance(answer, ActionFailed):
            raise answer
        return answer

    def _first(self, query: Query) -> float | ActionFailed | None:
        if self._port is None:
            return ActionFailed(Category.CONFIGURATION, "no metrics connection is set up")
        try:
            return self._port.value(query)
        except ActionFailed as error:
            if error.category not in _ABOUT_THE_QUERY:
                self._down[query.connection] = error
            return error


class Asks(Exception):
    """A condition wants a query where none may be made."""


def nobody(query: Query) -> float | None:
    """Ask nobody. Raises Asks."""
    raise Asks(query.connection)


def judge(condition: Condition, scope: Scope, ask: Ask) -> Judgement:
    """Return whether `condition` holds for what `scope` describes. Never raises for what people wrote."""
    found = _judge(condition, scope, ask)
    if found.holds is None:
        return Judgement(False, f"{found.why}; on_error: skip")
    return found


def _judge(condition: Condition, scope: Scope, ask: Ask) -> Judgement:
    found = _kind(condition, scope, ask)
    if found.holds is None and condition.on_error == "match":
        return Judgement(True, f"{found.why}; on_error: match")
    if found.holds is None and "on_error" in condition.model_fields_set:
        return Judgement(False, f"{found.why}; on_error: skip")
    return found


def _kind(condition: Condition, scope: Scope, ask: Ask) -> Judgement:
    if condition.any is not None:
        return _any(condition.any, scope, ask)
    if condition.all is not None:
        return _all(condition.all, scope, ask)
    if condition.none is not None:
        found = _any(condition.none, scope, ask)
        return Judgement(None if found.holds is None else not found.holds, found.why)
    if condition.labels is not None:
        labels: Mapping[str, str] = scope["trigger"]["labels"]
        text = ", ".join(str(matcher) for matcher in condition.labels)
        matched = matches_all(condition.labels, labels)
        return Judgement(matched, f"labels {'match' if matched else 'do not match'} {text}")
    if condition.expr is not None:
        return _expr(condition.expr, scope)
    return _query(condition, scope, ask)


def _any(conditions: tuple[Condition, ...], scope: Scope, ask: Ask) -> Judgement:
    reasons, unknown = [], False
    for condition in sorted(conditions, key=asks):
        found = _judge(condition, scope, ask)
        if found.holds:
            return found
        unknown = unknown or found.holds is None
        reasons.append(found.why)
    return Judgement(None if unknown else False, "; ".join(reasons))


def _all(conditions: tuple[Condition, ...], scope: Scope, ask: Ask) -> Judgement:
    reasons, unknown = [], False
    for condition in sorted(conditions, key=asks):
        found = _judge(condition, scope, ask)
        if found.holds is False:
            return found
        unknown = unknown or found.holds is None
        reasons.append(found.why)
    return Judgement(None if unknown else True, "; ".join(reasons))


def _expr(expression: str, scope: Scope) -> Judgement:
    try:
        truth = evaluate(expression, scope)
    except InvalidInput as error:
        return Judgement(None, f"{expression} cannot be evaluated: {error}")
    return Judgement(truth, f"{expression} is {'true' if truth else 'false'}")


def _query(condition: Condition, scope: Scope, ask: Ask) -> Judgement:
    assert condition.query is not None, "a condition has exactly one kind"
    assert condition.is_ is not None, "the loader requires `is` beside a query"
    name = f"query of {condition.query.connection}"
    try:
        value = ask(bound(condition.query, scope))
    except (ActionFailed, InvalidInput) as error:
        return Judgement(None, f"the {name} failed: {error}")
    shown = "nothing" if value is None else f"{value:g}"
    truth = holds(condition.is_, value)
    wanted = format_comparison(condition.is_)
    return Judgement(truth, f"the {name} gave {shown}, {'as' if truth else 'not'} {wanted}")


def bound(query: Query, scope: Scope) -> Query:
    """Return `query` with its params rendered.

    Raises:
        TemplateError: a param cannot be rendered.
    """
    return (
        query.model_copy(update={"params": render(query.params, scope)}) if query.params else query
    )


def asks(condition: Condition) -> bool:
    """Whether judging it may need a query."""
    if condition.query is not None:
        return True
    inner = condition.any or condition.all or condition.none or ()
    return any(asks(one) for one in inner)
