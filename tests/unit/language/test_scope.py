"""What an expression sees: names, keys and methods, steps and their states."""

from __future__ import annotations

from typing import Any

import pytest

from engine.domain.plan import Unknown
from engine.language.scope import KnownAfterApply, TemplateError
from engine.language.templates import evaluate, expression_references, render
from tests.unit.language.template_scope import PODS, SCOPE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ steps.pods.items }}", PODS),
        ("{{ steps['pods']['items'][1].name }}", "b"),
        ("{{ steps.pods.items.0.name }}", "a"),
        ("{{ steps['two-words'] }}", 7),
        ("{{ steps['two-words'] + 1 }}", 8),
        ("{{ steps.plain.x }}", 5),
        ("{{ trigger.labels['a-b'] }}", "c"),
        ("{{ inputs.items() | length }}", 5),
        ("{{ inputs.get('zzz', 4) }}", 4),
        ("{{ inputs.namespace.upper() }}", "STARFORGE"),
        ("{{ 'a,b'.split(',') }}", ["a", "b"]),
        ("{{ '-'.join(['a', 'b']) }}", "a-b"),
        ("{{ 'aXa'.replace('a', 'bb') }}", "bbXbb"),
        ("{{ [1, 2, 3][-1] }}", 3),
        ("{{ [1, 2, 3][0:2] }}", [1, 2]),
        ("{{ 'abc'[1] }}", "b"),
        ("{{ steps.back.x }}", 1),
        ("{{ 1 if missing is defined else 2 }}", 2),
        ("{{ missing | default(3) }}", 3),
        ("{{ missing.deeper.still | default(3) }}", 3),
        ("{{ '' | default(3, true) }}", 3),
        ("{{ none | default(3) }}", None),
        ("{{ 'ab' ~ 1 ~ true ~ none }}", "ab1truenull"),
        ("{{ '\\d' }}", "\\d"),
        ("{{ 'a\\nb' }}", "a\nb"),
    ],
)
def test_names_keys_and_methods(text: str, expected: Any) -> None:
    assert render(text, SCOPE) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ inputs.namspace }}", "there is no key 'namspace'; there is namespace, n, limit"),
        ("{{ inputs.namspace }}", "did you mean namespace?"),
        ("{{ missing }}", "{{ missing }}: missing is not defined here"),
        ("{{ missing.x }}", "missing is not defined here"),
        ("{{ [1, missing] }}", "missing is not defined here"),
        ("{{ missing == 1 }}", "missing is not defined here"),
        ("{{ missing is none }}", "missing is not defined here"),
        ("{{ missing | upper }}", "missing is not defined here"),
        ("{{ 'a' | replace('a', missing) }}", "missing is not defined here"),
        ("{{ missing and true }}", "missing is not defined here"),
        ("{{ missing() | default(1) }}", "there is no function missing"),
        ("x {{ missing }}", "missing is not defined here"),
        ("{{ [1][5] }}", "there is no item 5; there are 1"),
        ("{{ inputs.n.x }}", "a number has no 'x'"),
        ("{{ inputs.values }}", "a method without its () is no data"),
        ("{{ steps.pods.items() }}", "a list cannot be called; a key has the method's name"),
        ("{{ ''.__class__ }}", "a text has no '__class__'"),
        ("{{ {}.__class__ }}", "there is no key '__class__'; there is nothing"),
        ("{{ [] | first }}", "No first item"),
        ("{{ {1: 2} }}", "a map has a key that is no text"),
        ("{{ 'a' < 1 }}", "'<' not supported"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ true + missing }}", "missing is not defined here"),
        ("{{ {'a': 1} | tojson(99) }}", "indent is a number from 0 to 8"),
    ],
)
def test_what_is_absent_is_an_error_with_its_name(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(text, SCOPE)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ steps.skip }}", "step recover.skip was skipped, so it has no output"),
        ("{{ steps.skip.deep.er }}", "step recover.skip was skipped"),
        ("{{ steps.bad.half }}", "step bad failed, so it has no output"),
        ("x{{ steps.bad }}", "step bad failed, so it has no output"),
        ("{{ steps.lost.x }}", "step lost has an unknown outcome, so it has no output"),
        ("{{ steps.nope }}", "step nope has not run, so it has no output"),
        ("{{ steps.nope is succeeded }}", "step nope has not run"),
        ("{{ steps.skip.x > 1 or true }}", "step recover.skip was skipped"),
    ],
)
def test_a_step_without_output_is_named(text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=r"has no output|has not run") as caught:
        render(text, SCOPE)
    assert message in str(caught.value)


def test_default_stands_in_for_a_missing_output() -> None:
    for text in ("steps.skip", "steps.skip.a.b", "steps.bad.half", "steps.nope", "steps.lost.x"):
        assert render(f"{{{{ {text} | default('d') }}}}", SCOPE) == "d"
        assert evaluate(f"{text} is not defined", SCOPE)


def test_states_are_tests() -> None:
    states = {
        "pods": "succeeded",
        "skip": "skipped",
        "bad": "failed",
        "lost": "unknown",
        "back": "undone",
    }
    for step, state in states.items():
        for test in ("succeeded", "skipped", "failed", "unknown", "undone"):
            assert evaluate(f"steps.{step} is {test}", SCOPE) is (state == test)
    assert evaluate("steps.scale is changed and steps.pods is not changed", SCOPE)
    assert evaluate("steps['two-words'] is succeeded", SCOPE)


@pytest.mark.parametrize(
    "text",
    [
        "item is failed",
        "steps.pods.items is failed",
        "steps.pods | first is failed",
        "3 is changed",
    ],
)
def test_a_state_belongs_to_a_step(text: str) -> None:
    with pytest.raises(TemplateError, match="asks about a step"):
        expression_references(text)


def test_outputs_are_those_of_succeeded_items() -> None:
    assert render("{{ steps.each | outputs }}", SCOPE) == [{"x": 1}, {"x": 3}]
    assert render("{{ steps.each | outputs | sum(attribute='x') }}", SCOPE) == 4
    for wrong in ("steps.pods", "steps.pods.items", "'x'"):
        with pytest.raises(TemplateError, match="outputs takes the output of a foreach"):
            render(f"{{{{ {wrong} | outputs }}}}", SCOPE)


def test_what_is_known_after_apply_stays_unknown() -> None:
    later = Unknown("later")
    assert render("{{ steps.scale.after.n }}", SCOPE) == later
    assert render("n={{ steps.scale.after.n }}", SCOPE) == later
    assert render("{{ steps.scale.after.n + 1 }}", SCOPE) == later
    assert render("{{ steps.scale.after.n.deeper }}", SCOPE) == later
    assert render("{{ steps.scale.after.n | default(1) }}", SCOPE) == later
    assert render("{{ steps.scale | json }}", SCOPE) == later
    assert render("{{ steps.scale | yaml }}", SCOPE) == later
    assert render("{{ [steps.scale.after.n, 1] }}", SCOPE) == [later, 1]
    assert render("{{ steps.scale }}", SCOPE) == {"after": {"n": later}}
    assert render({"a": "{{ unsure }}", "b": 1}, SCOPE) == {"a": Unknown("not yet"), "b": 1}
    assert render("{{ steps.later.x }}", SCOPE) == Unknown()
    for condition in ("steps.scale.after.n > 1", "unsure is defined", "unsure == 3"):
        with pytest.raises(KnownAfterApply) as caught:
            evaluate(condition, SCOPE)
        assert caught.value.unknown.reason in ("later", "not yet")
    # Only what is needed counts.
    assert render("{{ 1 if inputs.yes else steps.scale.after.n }}", SCOPE) == 1
