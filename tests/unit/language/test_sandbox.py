"""An expression cannot run away, change data or call it."""

from __future__ import annotations

import pytest

from engine.language.scope import TemplateError
from engine.language.templates import render
from tests.unit.language.template_scope import SCOPE


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
