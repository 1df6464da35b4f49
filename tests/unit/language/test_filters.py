"""Filters and tests of expressions: what they make, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from engine.language.filters import FILTERS
from engine.language.predicates import TESTS
from engine.language.scope import FUNCTIONS, SCOPED_FUNCTIONS, TemplateError
from engine.language.templates import render
from tests.unit.language.template_scope import SCOPE


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
