"""Matchers: both readings of Alertmanager, regexes as RE2 has them, and the index over many rules."""

from __future__ import annotations

import pytest

from engine.language.matchers import (
    Matcher,
    MatcherError,
    matches_all,
    parse_matcher,
    parse_matchers,
    reading_note,
)
from engine.language.matchindex import MatchIndex
from engine.language.regexes import RegexError, compile_regex


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


def test_a_missing_label_is_the_empty_text() -> None:
    assert parse_matcher('team=""').matches({})
    assert parse_matcher('team!="x"').matches({})
    assert parse_matcher('team=~".*"').matches({})
    assert parse_matcher('team=~"a|"').matches({})
    assert not parse_matcher('team=~".+"').matches({})
    assert not parse_matcher('team!~".*"').matches({})
    assert parse_matcher('team!~".+"').matches({})
    assert matches_all((), {})
    assert not matches_all(parse_matchers('a="", b="1"'), {"a": ""})


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("ns-.*", ["ns-", "ns-1"], ["xns-1", "ns-\n", "NS-1"]),
        ("ns-.+", ["ns-1"], ["ns-"]),
        ("a|b|c\\.d", ["a", "b", "c.d"], ["cxd", "ab", "", "a|b"]),
        ("(a|bc)", ["a", "bc"], ["abc", "(a"]),
        ("(?:a|b)", ["a", "b"], ["?:a"]),
        ("^abc$", ["abc"], ["^abc$", "abcd"]),
        ("^a|b$", ["a", "b"], ["^a", "ab"]),
        ("a.c", ["abc"], ["a\nc", "abcd"]),
        ("(?s)a.c", ["a\nc"], []),
        ("(?i)abc", ["ABC", "aBc"], ["abd"]),
        ("[0-9]{2,3}", ["12", "123"], ["1", "1234", "٣٣"]),
        ("\\d+", ["12"], ["٣"]),
        ("abc?", ["ab", "abc"], ["abcc"]),
        ("ab*", ["a", "abb"], ["b"]),
        ("ab{0,1}", ["a", "ab"], ["abb"]),
        ("foo(x|y)|bar", ["foox", "bar"], ["foobar"]),
        ("[(]a|b", ["(a", "b"], ["a"]),
        ("\\(a|b\\)", ["(a", "b)"], ["a"]),
        ("\\Qa|b\\E.*", ["a|bc"], ["a"]),
        ("\\pL+", ["äb"], ["1"]),
        ("", [""], ["a"]),
        ("a$", ["a"], ["a\n"]),
    ],
)
def test_regexes_are_anchored_and_mean_what_re2_means(
    pattern: str, yes: list[str], no: list[str]
) -> None:
    regex = compile_regex(pattern)
    assert [text for text in yes if not regex.matches(text)] == []
    assert [text for text in no if regex.matches(text)] == []
    assert [text for text in yes if not text.startswith(regex.prefix)] == []


def test_an_evil_pattern_takes_no_time() -> None:
    evil = compile_regex("(a+)+(a|aa)*x?[b-c]")
    assert not evil.matches("a" * 20_000)


def test_a_pattern_may_not_break_out_of_its_anchors() -> None:
    with pytest.raises(RegexError):
        compile_regex("a)|(?:b")
    with pytest.raises(RegexError, match="characters long"):
        compile_regex("a" * 10_001)
    with pytest.raises(RegexError, match="not valid text"):
        compile_regex("\ud800+")


def test_the_index_answers_in_the_rules_order() -> None:
    index = MatchIndex(
        [
            ("all", ()),
            ("regex", parse_matchers('namespace=~"etl-.*[0-9]"')),
            ("exact", parse_matchers('alertname="Down", severity=~"critical|page"')),
            ("absent", parse_matchers('team=""')),
            ("not", parse_matchers('alertname!="Up"')),
            ("other", parse_matchers('alertname="Up"')),
        ]
    )
    labels = {"alertname": "Down", "severity": "page", "namespace": "etl-a1"}
    assert index.candidates(labels) == ["all", "regex", "exact", "absent", "not"]
    assert index.candidates({"alertname": "Up", "team": "x"}) == ["all", "other"]
    assert index.candidates({}) == ["all", "absent", "not"]
    assert len(index) == 6
    assert MatchIndex([]).candidates(labels) == []


def test_the_index_tries_few_of_many_rules() -> None:
    """Ten thousand rules of one alert name: the pattern's beginning finds the few that can match."""
    asked: list[str] = []

    class Counting(str):
        __slots__ = ()

        def encode(self, *args: str, **kwargs: str) -> bytes:
            asked.append(str(self))
            return str.encode(self, *args, **kwargs)

    rules = [
        (number, parse_matchers(f'alertname="Same", pod=~"worker-{number:05}-[a-z]+"'))
        for number in range(2_000)
    ]
    index = MatchIndex(rules)
    found = index.candidates({"alertname": "Same", "pod": Counting("worker-00123-abc")})
    assert found == [123]
    assert len(asked) == 1
