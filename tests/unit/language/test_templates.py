"""Templates and conditions: types, scope, steps, limits, static references."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from engine.domain.plan import Unknown
from engine.language.templates import (
    FILTERS,
    FUNCTIONS,
    SCOPED_FUNCTIONS,
    TESTS,
    KnownAfterApply,
    StepView,
    TemplateError,
    evaluate,
    expression_references,
    is_constant,
    is_template,
    references,
    render,
    scan,
)

PODS = [{"name": "a", "phase": "Running"}, {"name": "b", "phase": "Failed"}]
ITEMS = [
    {"key": "a", "item": 1, "state": "succeeded", "output": {"x": 1}, "error": None},
    {"key": "b", "item": 2, "state": "failed", "output": None, "error": "boom"},
    {"key": "c", "item": 3, "state": "succeeded", "output": {"x": 3}, "error": None},
]
SCOPE: Mapping[str, Any] = {
    "inputs": {"namespace": "starforge", "n": 3, "limit": "512Mi", "ratio": 0.1, "yes": True},
    "steps": {
        "pods": StepView("pods", "succeeded", {"items": PODS, "count": 2}),
        "two-words": StepView("two-words", "succeeded", 7),
        "skip": StepView("recover.skip", "skipped"),
        "bad": StepView("bad", "failed", {"half": 1}),
        "lost": StepView("lost", "unknown"),
        "back": StepView("back", "undone", {"x": 1}),
        "scale": StepView("scale", "succeeded", {"after": {"n": Unknown("later")}}, changed=True),
        "later": StepView("later", "unknown", Unknown()),
        "each": StepView("each", "succeeded", ITEMS),
        "plain": {"x": 5},
    },
    "trigger": {"kind": "alert", "labels": {"a-b": "c"}, "annotations": {}, "value": None},
    "item": {"id": 9},
    "unsure": Unknown("not yet"),
    "at": datetime(2026, 1, 2, tzinfo=UTC),
    "secret": lambda name: f"hunter2-{name}",
}


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


# ---- scope ----------------------------------------------------------------------------------------


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


# ---- steps ----------------------------------------------------------------------------------------


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


# ---- filters --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'3' | number", 3),
        ("'-1.5e3' | number", -1500.0),
        ("4 | number", 4),
        ("('1Ki' | quantity) | number", 1024),
        ("'1h30m' | duration", 5400.0),
        ("90 | duration", 90.0),
        ("inputs.limit | quantity < '2Gi' | quantity", True),
        ("'900Mi' < '2Gi'", False),
        ("'1000m' | quantity == 1", True),
        ("0.1 + '100m' | quantity", 0.2),
        ("{'a': [1]} | json", '{"a": [1]}'),
        ("""'{"a": [1]}' | json""", {"a": [1]}),
        ("'x' | tojson", '"x"'),
        (
            "{'on': 'yes', 'n': '1e3', 'd': '2026-01-01', 'o': '0o17'} | yaml | yaml",
            {"on": "yes", "n": "1e3", "d": "2026-01-01", "o": "0o17"},
        ),
        (
            "'a: on\\nb: 1e3\\nc: 0777\\nd: 10:30\\ne: ~' | yaml",
            {"a": "on", "b": 1000.0, "c": 777, "d": "10:30", "e": None},
        ),
        ("'err 42 x' | regex_search('[0-9]+')", "42"),
        ("'err 42 x' | regex_search('err (\\d+)', 1)", "42"),
        ("'a=1' | regex_search('(?P<k>\\w)=', 'k')", "a"),
        ("'OOM' | regex_search('oom', ignorecase=true)", "OOM"),
        ("'x' | regex_search('y')", None),
        ("'Hello, Wörld! 2' | slug", "hello-world-2"),
        ("('ab-' * 40) | slug(5)", "ab-ab"),
        ("7.5 | round", 8),
        ("7.456 | round(2)", 7.46),
        ("7 / 2 | round(0, 'ceil')", 3.5),
        ("(7 / 2) | round(0, 'floor')", 3),
        ("steps.pods.items | map(attribute='name') | join(', ')", "a, b"),
        ("steps.pods.items | selectattr('phase', 'eq', 'Failed') | map(attribute='name')", ["b"]),
        ("steps.pods.items | map('json') | first", '{"name": "a", "phase": "Running"}'),
        ("['b', 'a'] | sort | list", ["a", "b"]),
        ("[1, 2, 3] | select('odd')", [1, 3]),
        ("[1, 2, 2] | unique | length", 2),
        ("[1, 2, 3] | batch(2)", [[1, 2], [3]]),
        ("[1, 2, 3] | reverse", [3, 2, 1]),
        ("{'b': 1, 'a': 2} | dictsort", [["a", 2], ["b", 1]]),
        ("{'b': 1} | items", [["b", 1]]),
        ("steps.pods.items | groupby('phase') | map(attribute='grouper')", ["Failed", "Running"]),
        ("'a b' | wordcount", 2),
        ("'%s-%03d' | format('a', 7)", "a-007"),
        ("'%(a)s' | format(a=1)", "1"),
        ("'%d%%' % 5", "5%"),
        ("[1, true, none] | join('/')", "1/true/null"),
        ("1024 | filesizeformat(true)", "1.0 KiB"),
        ("'a b&c' | urlencode", "a%20b%26c"),
        ("'a\\nb' | indent(2)", "a\n  b"),
        ("5 in [1, 5]", True),
        ("3 is divisibleby(3)", True),
        ("[1, 2] is iterable and 'x' is string and {} is mapping", True),
        ("inputs.n is even or inputs.n is odd", True),
    ],
)
def test_filters_and_tests(text: str, expected: Any) -> None:
    rendered = render(f"{{{{ {text} }}}}", SCOPE)
    assert rendered == (pytest.approx(expected) if isinstance(expected, float) else expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("' 3' | number", "' 3' is no number"),
        ("'3Gi' | number", "'3Gi' is no number"),
        ("true | number", "a boolean is no number"),
        ("none | number", "null is no number"),
        ("'5x' | duration", "unknown unit x"),
        ("'5X' | quantity", "unknown suffix X"),
        ("'{' | json", "the text is no JSON"),
        ("'NaN' | json", "NaN is not part of JSON"),
        ("9e999", "the number is too large"),
        ("[9e300 * 9e300] | json", "JSON has neither NaN nor infinity"),
        ("'a: [' | yaml", "the text is no YAML"),
        ("'a: 1\\na: 2' | yaml", "stands twice"),
        ("'a: &x 1\\nb: *x' | yaml", "aliases"),
        ("'!!python/object:os.system x' | yaml", "the text is no YAML"),
        ("'1: 2' | yaml", "is not a text"),
        ("'x' | regex_search('(')", "is no regular expression"),
        ("'x' | regex_search('x', 3)", "has no group 3"),
        ("3 | regex_search('x')", "takes texts"),
        ("'x' | regex_search('x' * 2000)", "over 1000 characters"),
        ("'---' | slug", "no letter or digit"),
        ("'x' | slug(0)", "from 1 to 253"),
        ("'x' | replace('', 'y')", "needs a text to look for"),
        ("[1, 'a'] | sum", "sum adds numbers, not a text"),
        ("'%s' | format([1])", "a format takes texts and numbers"),
        ("1 | as_quantity('x')", "neither binary nor decimal"),
        ("[1, 2] | map(attribute='x', default=[]) | list", "map takes texts and numbers"),
        ("inputs | dictsort(by='neither')", "You can only sort"),
    ],
)
def test_filters_refuse_what_they_cannot_read(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(f"{{{{ {text} }}}}", SCOPE)
    assert message in str(caught.value)


def test_nothing_impure_or_unsafe_is_offered() -> None:
    assert not {"random", "attr", "safe", "escape", "int", "float", "pprint", "xmlattr"} & set(
        FILTERS
    )
    assert not {"callable", "filter", "test", "escaped"} & set(TESTS)
    assert {"range"} == FUNCTIONS
    assert {"secret"} == SCOPED_FUNCTIONS


# ---- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("'a' * 10**9", "more than 1048576"),
        ("10**9 * 'a'", "more than 1048576"),
        ("[0] * 10**9", "a list cannot be multiplied"),
        ("9**9**9**9**9**9", "the power is too large"),
        ("2.0**100000", "the number is too large"),
        ("(2**2000) * (2**2000) * (2**2000)", "the number is too large"),
        ("range(10**9)", "more than 10000"),
        ("'%0999999999d' % 1", "width is at most 999"),
        ("'%*d' % (999999999, 1)", "width is at most 999"),
        ("'x' | center(10**9)", "numbers up to 10000"),
        ("'x' | indent(10**9)", "numbers up to 10000"),
        ("('x\\n' * 1000) | indent(9999, true)", "more than 1048576"),
        ("('a' * 100000) | replace('a', 'b' * 1000)", "more than 1048576"),
        ("('a' * 100000).replace('a', 'b' * 1000)", "more than 1048576"),
        ("('a' * 1000000).join(['x', 'y', 'z', 'w'])", "more than 1048576"),
        ("range(10000) | map('string') | join('a' * 1000)", "more than 1048576"),
        ("[1] | batch(10**9)", "numbers up to 10000"),
        ("[1] | batch(10, range(10000))", "texts and numbers, not a list"),
        ("range(10000) | map('center', 9999) | list | length", "too much work"),
        ("range(10000) | select('in', range(10000)) | list | length", "too much work"),
        ("'x' * 1000000 + 'x' * 1000000 + 'x' * 1000000", "too much work"),
        ("('a' * 50) | regex_search('((a|a)+)+b$')", "takes too long"),
        ("('%s' * 100000) % ('a' * 1000)", "more than 1048576"),
    ],
)
def test_an_expression_cannot_run_away(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(f"{{{{ {text} }}}}", SCOPE)
    assert any(part in str(caught.value) for part in message.split("|"))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 400 + "1" + ")" * 400,
        "[" * 100 + "]" * 100,
        "not " * 200 + "true",
        "x" + ".a" * 200,
        "1" + " + 1" * 300,
        "x" + " | upper" * 200,
        "a" * 10_001,
        "9" * 5000,
    ],
)
def test_deep_and_long_expressions_are_refused(text: str) -> None:
    with pytest.raises(TemplateError, match=r"deeply nested|characters long|cannot be read"):
        render(f"{{{{ {text} }}}}", SCOPE)


def test_a_rendered_text_is_bounded() -> None:
    with pytest.raises(TemplateError, match="more than 1048576"):
        render("{{ 'a' * 1000000 }}{{ 'a' * 1000000 }}", SCOPE)


def test_data_cannot_be_changed_or_called() -> None:
    for text in ("inputs.update({})", "[1].append(2)", "inputs.pop('n')", "[1].clear()"):
        with pytest.raises(TemplateError, match="there is no method"):
            render(f"{{{{ {text} }}}}", SCOPE)
    with pytest.raises(TemplateError, match="cannot be called"):
        render("{{ inputs['items']() }}", SCOPE)
    with pytest.raises(TemplateError, match="cannot be called"):
        render("{{ steps.pods.get() }}", {"steps": {"pods": {"get": 1}}})


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


def test_scan_gives_positions() -> None:
    text = "a {{ x }} b {{ '}}' }}{{ {'a': {}} }}"
    found = scan(text)
    assert [inner for _, _, inner in found] == [" x ", " '}}' ", " {'a': {}} "]
    assert [text[start:end] for start, end, _ in found] == [
        "{{ x }}",
        "{{ '}}' }}",
        "{{ {'a': {}} }}",
    ]
    assert scan("no") == []
    assert is_template("a {{ b }}")
    assert is_template("{%")
    assert not is_template("{a}")
    assert not is_template(3)


def test_numbers_stay_exact() -> None:
    assert render("{{ a }}", {"a": Decimal("1.50")}) == 1.5
    assert render("{{ a * 2 }}", {"a": 2**60}) == 2**61


def test_alert_text_is_never_a_template() -> None:
    hostile = {"trigger": {"annotations": {"d": "{{ 1/0 }} {% raw %}"}}}
    assert render("{{ trigger.annotations.d }}", hostile) == "{{ 1/0 }} {% raw %}"
    assert render("x {{ trigger.annotations.d }}", hostile) == "x {{ 1/0 }} {% raw %}"
