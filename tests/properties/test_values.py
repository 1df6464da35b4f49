"""Properties of the language's values: nothing crashes, round trips hold, the index equals the scan."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.errors import InvalidInput
from engine.language.comparisons import parse_comparison, parse_number, parse_tolerance
from engine.language.durations import format_duration, parse_duration
from engine.language.matcherreading import parse_matchers
from engine.language.matchers import Matcher, matches_all
from engine.language.matchindex import MatchIndex
from engine.language.quantities import format_quantity, parse_quantity
from engine.language.regexes import RegexError, compile_regex
from engine.language.scope import StepView, TemplateError
from engine.language.templates import evaluate, is_constant, references, render

TEXTS = st.text(max_size=40) | st.text(alphabet='ab01=~!"{},\\.*|[]()^$ \n', max_size=40)


@given(TEXTS | st.text(alphabet="0123456789smhdwKMGie.+- %<>=!", max_size=20))
def test_arbitrary_text_gives_a_value_or_an_invalid_input(text: str) -> None:
    parsers = (
        parse_duration,
        parse_quantity,
        parse_comparison,
        parse_number,
        parse_tolerance,
        parse_matchers,
        compile_regex,
    )
    for parse in parsers:
        try:
            parse(text)
        except InvalidInput as error:
            offset = getattr(error, "offset", None)
            assert offset is None or 0 <= offset <= len(text)


@given(st.integers(0, 3650 * 86400 * 1000))
def test_durations_come_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@given(
    st.decimals(
        min_value=-(2**62), max_value=2**62, allow_nan=False, allow_infinity=False, places=9
    ),
    st.sampled_from(["binary", "decimal"]),
)
def test_quantities_come_back(value: Decimal, style: str) -> None:
    assert parse_quantity(format_quantity(value, "binary" if style == "binary" else "decimal")) == (
        value
    )


SUFFIXES = ["n", "u", "m", "", "k", "M", "G", "Ki", "Mi", "Gi"]
FACTORS = [10**0, 10**3, 10**6, 10**9, 10**12, 10**15, 10**18]
NANOS = dict(zip(SUFFIXES, [*FACTORS, 1024 * 10**9, 1024**2 * 10**9, 1024**3 * 10**9], strict=True))


@given(
    st.tuples(st.integers(0, 10**6), st.sampled_from(SUFFIXES)),
    st.tuples(st.integers(0, 10**6), st.sampled_from(SUFFIXES)),
)
def test_quantities_order_as_their_nanos_do(left: tuple[int, str], right: tuple[int, str]) -> None:
    texts = [f"{number}{suffix}" for number, suffix in (left, right)]
    exact = [number * NANOS[suffix] for number, suffix in (left, right)]
    one, two = map(parse_quantity, texts)
    assert (one < two, one == two) == (exact[0] < exact[1], exact[0] == exact[1])


NAMES = st.sampled_from(["alertname", "namespace", "pod", "a b", "ä"])
VALUES = st.sampled_from(["", "a", "b", "ab", "abc", "ns-1", "ns-12", "x\ny", 'q"\\', "ä"])
PATTERNS = VALUES.map(lambda text: text.replace("\\", "\\\\")) | st.sampled_from(
    [
        "a|b",
        "a|",
        "ns-.*",
        "ns-.+",
        ".*",
        ".+",
        "(a|b)c?",
        "ab*",
        "ns-1[0-9]?",
        "^a$",
        "(?i)A|b",
        "a?",
    ]
)
PLAIN = st.builds(Matcher, name=NAMES, op=st.sampled_from(["=", "!="]), value=VALUES)
REGEX = st.builds(Matcher, name=NAMES, op=st.sampled_from(["=~", "!~"]), value=PATTERNS)
MATCHERS = PLAIN | REGEX


@given(st.lists(MATCHERS, min_size=1, max_size=4))
def test_matchers_come_back(matchers: list[Matcher]) -> None:
    assert list(parse_matchers("{" + ", ".join(map(str, matchers)) + "}")) == matchers


@settings(max_examples=300)
@given(
    st.lists(st.lists(MATCHERS, max_size=3).map(tuple), max_size=30),
    st.lists(st.dictionaries(NAMES, VALUES, max_size=4), min_size=1, max_size=5),
)
def test_the_index_equals_the_scan(
    rules: list[tuple[Matcher, ...]], alerts: list[dict[str, str]]
) -> None:
    index = MatchIndex(list(enumerate(rules)))
    for labels in alerts:
        scan = [number for number, rule in enumerate(rules) if matches_all(rule, labels)]
        assert index.candidates(labels) == scan


@given(
    st.text(alphabet="ab|.*+?()[]^$\\-{}1,", max_size=12), st.text(alphabet="ab|.-1", max_size=6)
)
def test_shortcuts_agree_with_the_engine(pattern: str, value: str) -> None:
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        regex = compile_regex(pattern)
    except RegexError:
        return
    expected = re2.compile(f"^(?:{pattern})$".encode(), options).fullmatch(value.encode())
    assert regex.matches(value) == (expected is not None)
    assert not regex.matches(value) or value.startswith(regex.prefix)
    assert regex.literals is None or regex.matches(value) == (value in regex.literals)


DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
PIECES = st.sampled_from(
    [
        *(
            "{{",
            "}}",
            "{%",
            "%}",
            "{#",
            " ",
            "x",
            "steps",
            ".a",
            "['b']",
            "[x]",
            "(",
            ")",
            "[",
            "]",
        ),
        *(
            "'",
            '"',
            "\\",
            "|",
            "default",
            "number",
            "upper",
            "is",
            "failed",
            "not",
            "and",
            "if",
            "else",
        ),
        *(
            "+",
            "*",
            "**",
            "~",
            "%",
            "1",
            "0.5",
            "range",
            "map",
            "json",
            "{",
            "}",
            ":",
            ",",
            "\n",
            "é",
        ),
    ]
)


@given(DATA)
def test_any_data_comes_through_a_lone_template_unchanged(value: object) -> None:
    assert render("{{ x }}", {"x": value}) == value
    assert render("{{ steps.s }}", {"steps": {"s": StepView("s", "succeeded", value)}}) == value
    assert render("{{ x | tojson | json }}", {"x": value}) == value


@given(DATA)
def test_data_written_as_yaml_comes_back(value: object) -> None:
    assert render("{{ {'v': x} | yaml | yaml }}", {"x": value}) == {"v": value}


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=30), DATA)
def test_arbitrary_templates_give_a_value_or_a_template_error(text: str, value: object) -> None:
    scope = {"x": value, "steps": {"a": StepView("a", "succeeded", value)}}
    offsets = []
    for template in (text, f"{{{{ {text} }}}}"):
        for call in (render, evaluate):
            try:
                call(template, scope)
            except TemplateError as error:
                offsets.append((error.offset or 0, len(template)))
        for judge in (references, is_constant):
            try:
                judge(template)
            except TemplateError as error:
                offsets.append((error.offset or 0, len(template)))
    assert all(0 <= offset <= length for offset, length in offsets)


@given(st.text(max_size=60))
def test_text_that_holds_no_template_is_itself(text: str) -> None:
    if not any(opening in text for opening in ("{{", "{%", "{#")):
        assert render(text, {}) == text
    assert render("{{ x }}!", {"x": text}) == f"{text}!"
