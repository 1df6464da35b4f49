"""Both of Alertmanager's readings of a matcher's text."""

from __future__ import annotations

import pytest

from engine.language.matcherreading import parse_matcher, parse_matchers, reading_note
from engine.language.matchers import Matcher, MatcherError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('foo="bar"', [("foo", "=", "bar")]),
        ("foo=bar", [("foo", "=", "bar")]),
        (' foo != "bar" ', [("foo", "!=", "bar")]),
        ('foo=~"a|b.*"', [("foo", "=~", "a|b.*")]),
        ("foo!~bar", [("foo", "!~", "bar")]),
        ('{a="b", c=~"d"}', [("a", "=", "b"), ("c", "=~", "d")]),
        ('{a="b",}', [("a", "=", "b")]),
        ('a="b",c!="d",', [("a", "=", "b"), ("c", "!=", "d")]),
        ('a="x,y"', [("a", "=", "x,y")]),
        ('a="she said \\"hi\\""', [("a", "=", 'she said "hi"')]),
        ('a="line\\nfeed"', [("a", "=", "line\nfeed")]),
        ('a="back\\\\slash"', [("a", "=", "back\\slash")]),
        ('a=""', [("a", "=", "")]),
        # the UTF-8 reading alone
        ('"foo bar"="x"', [("foo bar", "=", "x")]),
        ('ä="ö"', [("ä", "=", "ö")]),
        ("foo🙂=bar🙂", [("foo🙂", "=", "bar🙂")]),
        ('"a"="\\u00e9\\x41\\101\\t"', [("a", "=", "éAA\t")]),
        ('"a\\"b"=c', [('a"b', "=", "c")]),
        ('"a"="\\xc3\\xa9"', [("a", "=", "é")]),
        ("foo.bar=baz/x-y", [("foo.bar", "=", "baz/x-y")]),
        # the classic reading alone
        ("foo=", [("foo", "=", "")]),
        ("foo=bar baz", [("foo", "=", "bar baz")]),
        ("foo='bar'", [("foo", "=", "'bar'")]),
        ('foo=~"\\d+"', [("foo", "=~", "\\d+")]),
        ("foo=~[a-z]{2}x", [("foo", "=~", "[a-z]{2}x")]),
        ("foo=~[a-z]{2}", [("foo", "=~", "[a-z]{2")]),  # a trap of the classic reading: } is cut
        ('{a="b"', [("a", "=", "b")]),
        ('a="b\nc"', [("a", "=", "b\nc")]),
        # both, and they differ: the classic one holds
        ('foo="\\u00e9"', [("foo", "=", "\\u00e9")]),
        ('foo="\\x41"', [("foo", "=", "\\x41")]),
    ],
)
def test_readings(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert [(m.name, m.op, m.value) for m in parse_matchers(text)] == expected


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("", "no matcher was found", None),
        ("{}", "no matcher was found", None),
        ("foo", "one of = != =~ !~ is expected, found the end", 3),
        ("foo>3", "one of = != =~ !~ is expected, found the end", 5),
        ('="bar"', "a label's name is expected, found '='", 0),
        ("a=b,,c=d", "a matcher or } is expected after a comma, found ','", 4),
        ("{a=b,,c=d}", "a matcher or } is expected after a comma", 5),
        ('{"a"=b', "a } is missing", 6),
        ('"a"=b}', "a } has no {", 5),
        ('{a="b"} c', "a comma is expected, found 'c'", 8),
        ('"foo=bar', "the closing quote is missing", 0),
        ('foo="bar', "the closing quote is missing", 4),
        ('"a"="\\q"', "the escape \\q is not known", 5),
        ('"a"="\\ud800"', "the escape \\u is not known", 5),
        ('"a"="\\xff"', "the quoted text is not valid UTF-8", 4),
        ('"a"="x\ny"', "a quoted text goes over the line's end", 6),
        ('""="x"', "a label's name is empty", 0),
        ('a=~"(x"', "missing )", 3),
        ('a=~"(?=x)"', "lookahead, (?=", 3),
        ('a=~"(?<!x)y"', "lookbehind, (?<!", 3),
        ('a=~"(a)\\\\1"', "RE2 has no backreferences", 3),
        ('a=~"a++"', "bad repetition operator: ++", 3),
        ('a=~"*a"', "no argument for repetition operator: *", 3),
        ('a=~"\\\\C"', "invalid escape", 3),
        ('a=~"a{1001}"', "invalid repetition size: {1001}", 3),
        ('a = "b" c = "d"', "a comma is expected", 8),
    ],
)
def test_refusals_say_where(text: str, message: str, offset: int | None) -> None:
    with pytest.raises(MatcherError) as caught:
        parse_matchers(text)
    assert message in str(caught.value)
    assert caught.value.offset == offset


def test_one_matcher_is_one() -> None:
    assert parse_matcher('a="b"') == Matcher(name="a", op="=", value="b")
    for wrong in ('{a="b"}', 'a="b",c="d"', 'a="b"}'):
        with pytest.raises(MatcherError):
            parse_matcher(wrong)


def test_a_classic_reading_is_pointed_out() -> None:
    note = reading_note("foo=bar baz")
    assert note == """only Alertmanager's classic mode reads it so; write foo="bar baz\""""
    assert reading_note('foo="bar baz"') is None
    assert reading_note("(") is None
