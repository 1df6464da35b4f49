"""Conditions: any, all, none, three-valued errors, and how few queries they cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.contract.registry import load_registry
from engine.domain.errors import ActionFailed, Category
from engine.incidents.conditions import Answers, asks, judge
from engine.incidents.matching import fire_scope
from engine.language.program import Comparison, Query
from engine.language.project import load_project
from engine.language.rules import Condition
from tests.unit.incidents.conftest import MakeKit
from tests.unit.incidents.kit import Metrics, firing, matchers, rule

DOWN = ActionFailed(Category.TRANSIENT, "connection refused")
BAD = ActionFailed(Category.DATA, "parse error")


def labels(text: str) -> Condition:
    return Condition(labels=matchers(text))


def expr(text: str) -> Condition:
    return Condition(expr=text)


def query(text: str, connection: str = "metrics", **params: Any) -> Condition:
    asked = Query(connection=connection, query=text, params=params)
    return Condition.model_validate(
        {"query": asked, "is": Comparison(op=">", value=0.5), "on_error": "skip"}
    ).model_copy(update={})


def unset(condition: Condition) -> Condition:
    """The same without a word about errors, as a nested condition is written."""
    fields = condition.model_dump(by_alias=True, exclude={"on_error"}, exclude_none=True)
    return Condition.model_validate(fields)


YES, NO = labels('rule="r"'), labels('rule="other"')
ERROR = expr("nonsense.of == 1")
HIGH, LOW, EMPTY = (unset(query(name)) for name in ("high", "low", "empty"))
NAN, GONE = unset(query("nan")), unset(query("gone"))


def ask(condition: Condition, metrics: Metrics | None = None) -> tuple[bool, str]:
    port = metrics or Metrics(high=0.9, low=0.1, empty=None, nan=float("nan"), gone=BAD)
    scope = fire_scope("query", rule("r"), "2026-11-23T03:00:00Z", None)
    found = judge(condition, scope, Answers(port).ask)
    assert found.holds is not None
    return found.holds, found.why


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (YES, True),
        (NO, False),
        (expr("trigger.kind == 'query'"), True),
        (expr("trigger.kind == 'alert'"), False),
        (ERROR, False),
        (HIGH, True),
        (LOW, False),
        (EMPTY, False),
        (NAN, False),
        (GONE, False),
        (Condition(any=(NO, YES)), True),
        (Condition(any=(NO, NO)), False),
        (Condition(any=(ERROR, YES)), True),
        (Condition(any=(ERROR, NO)), False),
        (Condition(all=(YES, YES)), True),
        (Condition(all=(YES, NO)), False),
        (Condition(all=(ERROR, NO)), False),
        (Condition(all=(YES, ERROR)), False),
        (Condition(none=(NO, NO)), True),
        (Condition(none=(NO, YES)), False),
        (Condition(none=(ERROR, NO)), False),
        (Condition(any=(), on_error="match"), False),
        (Condition(all=(YES, Condition(none=(NO, Condition(any=(NO, NO)))))), True),
    ],
)
def test_what_holds(condition: Condition, holds: bool) -> None:
    assert ask(condition)[0] is holds


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (Condition(any=(NO, ERROR), on_error="match"), True),
        (Condition(all=(NO, ERROR), on_error="match"), False),  # decided without the error
        (Condition(all=(YES, GONE), on_error="match"), True),
        (Condition(none=(NO, ERROR), on_error="match"), True),
        (Condition(none=(YES, ERROR), on_error="match"), False),
        (Condition(expr="nonsense", on_error="match"), True),
        (Condition(all=(YES, Condition(any=(ERROR,), on_error="match"))), True),
        (Condition(any=(Condition(expr="x.y", on_error="skip"), NO), on_error="match"), False),
    ],
)
def test_on_error(condition: Condition, holds: bool) -> None:
    assert ask(condition)[0] is holds


def test_reasons_are_for_people() -> None:
    assert ask(NO)[1] == 'labels do not match rule="other"'
    assert ask(HIGH)[1] == "the query of metrics gave 0.9, as > 0.5"
    assert ask(EMPTY)[1] == "the query of metrics gave nothing, not > 0.5"
    assert ask(Condition(expr="trigger.value > 1", on_error="match"))[1].endswith(
        "; on_error: match"
    )
    assert ask(GONE)[1] == "the query of metrics failed: parse error; on_error: skip"


def test_a_query_is_made_only_where_it_decides() -> None:
    metrics = Metrics(high=0.9)
    assert ask(Condition(any=(HIGH, YES)), metrics)[0]
    assert not ask(Condition(all=(HIGH, NO)), metrics)[0]
    assert metrics.asked == []
    assert asks(Condition(all=(Condition(none=(HIGH,)), NO)))
    assert not asks(Condition(all=(YES, NO)))


def test_a_batch_asks_each_query_once_and_gives_up_on_a_dead_connection() -> None:
    metrics = Metrics(high=0.9, gone=BAD, other=DOWN, more=1.0)
    answers = Answers(metrics)
    for _ in range(3):
        assert answers.ask(Query(connection="m", query="high")) == 0.9
    assert len(metrics.asked) == 1
    for text in ("gone", "gone", "high"):  # a bad query is not a dead connection
        if text == "gone":
            with pytest.raises(ActionFailed, match="parse error"):
                answers.ask(Query(connection="m", query=text))
        else:
            assert answers.ask(Query(connection="m", query=text)) == 0.9
    for text in ("other", "more"):
        with pytest.raises(ActionFailed, match="connection refused"):
            answers.ask(Query(connection="dead", query=text))
    assert [query.query for query in metrics.asked] == ["high", "gone", "other"]
    with pytest.raises(ActionFailed, match="no metrics connection"):
        Answers(None).ask(Query(connection="m", query="high"))


def test_params_are_rendered_from_the_trigger(make: MakeKit) -> None:
    metrics = Metrics(high=0.9)
    condition = unset(query("high", ns="{{ trigger.labels.ns }}"))
    kit = make(rule(condition=condition), metrics=metrics)
    kit.post(firing(ns="x"))
    assert metrics.asked[0].params == {"ns": "x"}
    assert len(kit.runs()) == 1


def test_a_condition_that_fails_lets_the_next_rule_of_the_file_match(make: MakeKit) -> None:
    kit = make(
        rule("one", condition=unset(query("low")), condition_name="failing"),
        rule("two"),
        metrics=Metrics(low=0.1),
    )
    (alert_id,) = kit.post(firing())
    assert kit.said(alert_id) == [("skip", "condition"), ("run", "matched")]
    assert kit.decisions(alert_id)[0].reason == (
        "condition: condition failing does not hold: the query of metrics gave 0.1, not > 0.5"
    )
    assert [run.rule for run in kit.runs()] == ["two"]


def test_only_refusals_are_no_not_matched(make: MakeKit) -> None:
    kit = make(rule(condition=NO))
    (alert_id,) = kit.post(firing())
    assert kit.said(alert_id) == [("skip", "condition")]


def test_on_error_match_is_said_in_the_decision(make: MakeKit) -> None:
    failing = Condition(any=(GONE,), on_error="match")
    kit = make(rule(condition=failing), metrics=Metrics(gone=DOWN))
    (alert_id,) = kit.post(firing())
    (decision,) = kit.decisions(alert_id)
    assert decision.verdict == "run"
    assert "connection refused; on_error: match" in decision.reason


def test_the_condition_must_hold_still_when_the_waiting_is_over(make: MakeKit) -> None:
    metrics = Metrics(high=0.9)
    kit = make(rule(condition=HIGH, firing_for=60.0), metrics=metrics)
    (alert_id,) = kit.post(firing())
    metrics.answers["high"] = 0.1
    kit.later(60)
    assert kit.said(alert_id) == [("wait", "firing_for"), ("skip", "condition")]


RULES = """
conditions:
  oom:
    any:
      - labels: ['reason="OOMKilled"']
      - query: {connection: metrics, query: 'max(oom{namespace=$ns})', params: {ns: "{{ trigger.labels.ns }}"}}
        is: "> 0"
      - expr: "'OOMKilled' in trigger.annotations.description | default('')"
    on_error: match
rules:
  - name: worker-oom
    matchers: ['alertname="Down"']
    condition: oom
    playbook: ops/repair
"""
PLAYBOOK = """
playbook: ops/repair
steps:
  - {id: over, end: succeeded}
"""


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [(DOWN, "run"), (BAD, "run"), (1.0, "run"), (0.0, "skip"), (None, "skip")],
)
def test_as_people_write_them(make: MakeKit, tmp_path: Path, answer: Any, verdict: str) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    playbook = tmp_path / "ops" / "repair.yaml"
    playbook.parent.mkdir()
    playbook.write_text(PLAYBOOK)
    project = load_project(
        [tmp_path / "rules.yaml"],
        [playbook],
        load_registry(),
        {"metrics": "prometheus"},
        None,
    )
    asked = "max(oom{namespace=$ns})"
    kit = make(*project.rules, metrics=Metrics(**{asked: answer}))
    (alert_id,) = kit.post(firing())
    assert [said for said, _ in kit.said(alert_id)] == [verdict]
    assert kit.metrics.asked[0].params == {"ns": "a"}
