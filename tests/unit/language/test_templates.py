"""Templates and conditions: types, secrets, mistakes found without running, static references."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.language.scope import TemplateError
from engine.language.templates import (
    evaluate,
    expression_references,
    is_constant,
    references,
    render,
)
from tests.unit.language.template_scope import PODS, SCOPE

# ---- types ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("{{ inputs.n }}", 3),
        ("{{inputs.n}}", 3),
        (" {{ inputs.n }}", " 3"),
        ("{{ inputs.n }}{{ inputs.n }}", "33"),
        ("{{ '3' }}", "3"),
        ("{{ '1e5' }}", "1e5"),
        ("{{ '[1]' }}", "[1]"),
        ("{{ 'true' }}", "true"),
        ("{{ inputs.yes }}", True),
        ("{{ trigger.value }}", None),
        ("{{ inputs.ratio }}", 0.1),
        ("{{ [1, 'a', none] }}", [1, "a", None]),
        ("{{ {'a': {'b': [1]}} }}", {"a": {"b": [1]}}),
        ("{{ (1, 2) }}", [1, 2]),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{{ at }}", "2026-01-02T00:00:00Z"),
        ("{{ -1 }}", -1),
        (
            "v {{ trigger.value }} {{ inputs.yes }} {{ [1, 'ä'] }} {{ {'a': 1} }}",
            'v null true [1, "ä"] {"a": 1}',
        ),
        ("{{ '{{' }} {{ '{%' }} }}", "{{ {% }}"),
        ("{{ '}}' }}", "}}"),
        ("{{ 'it\\'s }}' }}", "it's }}"),
        ('{"a": 1}', '{"a": 1}'),
        ("{ a { b", "{ a { b"),
        ("{{ inputs.limit | quantity }}", 536870912),
        ("{{ '500m' | quantity }}", 0.5),
        ("{{ (inputs.limit | quantity * 1.5) }}", 805306368),
        ("{{ (inputs.limit | quantity * 2) | as_quantity }}", "1Gi"),
        ("{{ 1.5 | as_quantity('decimal') }}", "1500m"),
        ("m={{ inputs.limit | quantity }}", "m=536870912"),
    ],
)
def test_a_lone_expression_keeps_its_type_and_mixed_text_is_text(text: str, expected: Any) -> None:
    rendered = render(text, SCOPE)
    assert rendered == expected
    assert type(rendered) is type(expected)


def test_trees_are_rendered_inside_and_copied() -> None:
    tree = {"a": ["{{ inputs.n }}", 1, None, {"b": "x-{{ item.id }}"}], "c": ("y",)}
    assert render(tree, SCOPE) == {"a": [3, 1, None, {"b": "x-9"}], "c": ["y"]}
    out = render("{{ steps.pods }}", SCOPE)
    out["items"].append("more")
    assert SCOPE["steps"]["pods"].output["items"] == PODS


# ---- secrets --------------------------------------------------------------------------------------


def test_a_secret_is_given_and_never_shown() -> None:
    assert render("Bearer {{ secret('api') }}", SCOPE) == "Bearer hunter2-api"
    with pytest.raises(TemplateError) as caught:
        render("{{ secret('api') | number }}", SCOPE)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert references("{{ secret('api') }}").secrets == {"api"}
    assert "secret" in references("{{ secret('api') }}").roots
    assert not is_constant("secret('api') == 'x'")
    for wrong in ("secret(inputs.n)", "secret()", "secret('a', 'b')", "secret(name='a')", "secret"):
        with pytest.raises(TemplateError):
            references(f"{{{{ {wrong} }}}}")
    with pytest.raises(TemplateError, match="details are hidden"):
        render("{{ secret('api') }}", {})


# ---- compile errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("{{ x | int }}", "there is no filter int; use number, which is strict", 7),
        ("{{ x | upperr }}", "there is no filter upperr; did you mean upper?", 7),
        ("ab {{ x | from_json }}", "use json", 10),
        ("{{ x is succeded }}", "there is no test succeded; did you mean succeeded?", 8),
        ("{{ x | map('int') }}", "there is no filter int; use number", 11),
        ("{{ x | select('ood') }}", "there is no test ood; did you mean odd?", 14),
        ("{{ x | selectattr('a', 'equals', 1) }}", "there is no test equals", 23),
        ("{{ steps }}", "steps stands alone; name the step: steps.ID", 3),
        ("{{ steps | length }}", "steps stands alone", 3),
        ("{{ steps[inputs.n] }}", "a step is chosen while running; name the step", 3),
        ("{{ steps[0] }}", "a step is chosen while running", 3),
        ("{{ foo(1) }}", "there is no function foo", 3),
        ("{{ number('1') }}", "number is a filter: write value | number", 3),
        ("{{ rang(1) }}", "did you mean range?", 3),
        ("{{ range }}", "range is a function; call it: range(…)", 3),
        ("{{ x[0]() }}", "this cannot be called", 7),
        ("{{ x.format(1) }}", "use the filter: '%s' | format(value)", 4),
        ("{{ x.append(1) }}", "values cannot be changed", 4),
        ("{{ x.uppr() }}", "did you mean upper?", 4),
        ("{{ f(*x) }}", "* and ** are not allowed in a call", 4),
        ("{{ _x }}", "there is no name _x", 3),
        ("{{ a if b }}", "an if has no else; write a if b else c", 3),
        ("{{ 1 +  }}", "the expression ends too early", 8),
        ("{{ (1 }}", "the expression ends too early", 6),
        ("{{ 'a }}", "a text's closing quote is missing", 3),
        ("{{ a ? b : c }}", "unexpected character '?'; write a if condition else b", 5),
        ("{{ a = 1 }}", "'=' is not expected here; write == to compare", 5),
        ("{{ a && b }}", "unexpected character '&'; write and", 5),
        ("{{ a b }}", "'b' is not expected here", 5),
        ("{{ }}", "the expression is empty", 2),
        ("{% if x %}", "statements ({% …) are not part of values", 0),
        ("a {# c #}", "comments ({# …) are not part of values", 2),
        ("x {{ y", "a {{ is not closed; close it with }}", 2),
        ("{{- x }}", "white-space control is not offered", None),
        ("{{ x\n + y\n | nope }}", "there is no filter nope", 13),
        ("ok {{ x }} then {{ y | nope }}", "there is no filter nope", 23),
        ("{{ a) }}", "unexpected ')'", 4),
    ],
)
def test_mistakes_are_found_without_running_and_say_where(
    text: str, message: str, offset: int | None
) -> None:
    with pytest.raises(TemplateError) as caught:
        references(text)
    assert message in str(caught.value)
    if offset is not None:
        assert caught.value.offset == offset
    with pytest.raises(TemplateError):
        render(text, SCOPE)


def test_keys_are_plain_text() -> None:
    with pytest.raises(TemplateError, match="keys are plain text"):
        references({"{{ x }}": 1})


# ---- references -----------------------------------------------------------------------------------


def test_references_are_static_and_whole() -> None:
    found = references(
        {
            "a": [
                "{{ steps.a.b | default(inputs.x[inputs.y].z) }}",
                "{{ steps['c-d'] is failed }}",
            ],
            "b": "no template",
            "c": "{{ [steps.e if item.ok else vars.v, steps.f | length] }} {{ range(2) }}",
            "d": 5,
        }
    )
    assert found.steps == {"a", "c-d", "e", "f"}
    assert found.roots == {"steps", "inputs", "item", "vars"}
    by_path = {use.path: use for use in found.uses}
    assert by_path[("steps", "a", "b")].guarded
    assert by_path[("steps", "c-d")].test == "failed"
    assert not by_path[("inputs", "x")].guarded
    assert by_path[("inputs", "y")].offset == len("{{ steps.a.b | default(inputs.x[")
    assert ("item", "ok") in by_path


def test_a_condition_may_stand_bare_or_in_braces() -> None:
    for text in ("inputs.n > 2", "{{ inputs.n > 2 }}", "  {{inputs.n > 2}} \n", " inputs.n\n > 2 "):
        assert evaluate(text, SCOPE)
        assert expression_references(text).roots == {"inputs"}
        offset = expression_references(text).uses[0].offset
        assert text[offset:].startswith("inputs")
    with pytest.raises(TemplateError, match="more than one"):
        evaluate("{{ inputs.n }} > {{ 2 }}", SCOPE)
    with pytest.raises(TemplateError, match="the expression is empty"):
        evaluate("  ", SCOPE)


@pytest.mark.parametrize(
    "text", ["inputs.n", "'true'", "1", "none", "steps.pods", "inputs.yes and 'x'"]
)
def test_a_condition_is_a_real_boolean(text: str) -> None:
    with pytest.raises(TemplateError, match="not true or false; write a comparison"):
        evaluate(text, SCOPE)


def test_constants_are_told() -> None:
    for text in ("true", "1 < 2", "'a' in ['a']", "{{ false }}", "range(3) | length > 2"):
        assert is_constant(text)
    for text in ("inputs.n > 1", "steps.pods is succeeded", "x is defined"):
        assert not is_constant(text)


def test_numbers_stay_exact() -> None:
    assert render("{{ a }}", {"a": Decimal("1.50")}) == 1.5
    assert render("{{ a * 2 }}", {"a": 2**60}) == 2**61


def test_alert_text_is_never_a_template() -> None:
    hostile = {"trigger": {"annotations": {"d": "{{ 1/0 }} {% raw %}"}}}
    assert render("{{ trigger.annotations.d }}", hostile) == "{{ 1/0 }} {% raw %}"
    assert render("x {{ trigger.annotations.d }}", hostile) == "x {{ 1/0 }} {% raw %}"
