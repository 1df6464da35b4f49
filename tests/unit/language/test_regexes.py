"""Regular expressions as RE2 has them, anchored."""

from __future__ import annotations

import pytest

from engine.language.regexes import RegexError, compile_regex


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
