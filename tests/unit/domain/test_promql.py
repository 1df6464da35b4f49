"""Parameters in PromQL can neither leave their quotes nor widen a matcher."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.promql import PromqlError, bind, placeholders


@pytest.mark.parametrize(
    ("query", "params", "bound"),
    [
        ('up{ns="$ns"} > $n', {"ns": "a", "n": 3}, 'up{ns="a"} > 3'),
        ('up{ns="pre-$ns-post"}', {"ns": "x"}, 'up{ns="pre-x-post"}'),
        ('up{ns="$ns"}', {"ns": 'a"} or vector(1) #'}, 'up{ns="a\\"} or vector(1) #"}'),
        ("up{ns='$ns'}", {"ns": "it's"}, "up{ns='it\\'s'}"),
        ('up{ns="$ns"}', {"ns": "back\\slash\n"}, 'up{ns="back\\\\slash\\u000a"}'),
        ('up{ns=~"$ns"}', {"ns": ".*"}, 'up{ns=~"\\\\.\\\\*"}'),
        ('up{ns !~ "$ns|b"}', {"ns": "a|x"}, 'up{ns !~ "a\\\\|x|b"}'),
        ('up{pod=~"$pods"}', {"pods": ["a.1", "b"]}, 'up{pod=~"a\\\\.1|b"}'),
        ("rate(x[$w])", {"w": "5m"}, "rate(x[5m])"),
        ("rate(x[$w])", {"w": 300}, "rate(x[300s])"),
        ("rate(x[$w])", {"w": 0.5}, "rate(x[500ms])"),
        ("x offset $w", {"w": 60}, "x offset 60s"),
        ("x > $n", {"n": 0.01}, "x > 0.01"),
        ('x{a=~"b$"}', {}, 'x{a=~"b$"}'),
        ('x{a="$$ns"}', {}, 'x{a="$ns"}'),
        ("x # costs $5\n + 1", {}, "x \n + 1"),
        ("x{a=`$v`}", {"v": 'any"thing'}, 'x{a=`any"thing`}'),
        ("topk($n, x)", {"n": 1}, "topk(1, x)"),
    ],
)
def test_binding(query: str, params: dict[str, Any], bound: str) -> None:
    assert bind(query, params) == bound


@pytest.mark.parametrize(
    ("query", "params", "message"),
    [
        ('up{ns="$ns"}', {}, r"no value for \$ns"),
        ("up", {"ns": "a"}, r"params\.ns is not used"),
        ("up > $n", {"n": "1 or vector(1)"}, "expected a number or a duration"),
        ("$metric", {"metric": "up"}, "put text in quotes"),
        ("up > $n", {"n": float("nan")}, "finite"),
        ("up > $n", {"n": True}, "expected a number"),
        ("up > $", {}, r"column 6: a \$ outside quotes"),
        ('up{a="b}', {}, "closing"),
        ("x{a=`$v`}", {"v": "`"}, "backtick"),
        ('x{a="$v"}', {"v": ["a"]}, "expected text"),
        ('x{a=~"$v"}', {"v": []}, "at least one"),
        ("x[$w]", {"w": 0}, "above zero"),
        ('x{a="$v"}', {"v": None}, "expected text"),
    ],
)
def test_what_cannot_be_bound_says_why(query: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(PromqlError, match=message):
        bind(query, params)


def test_placeholders_are_the_names_outside_comments() -> None:
    assert placeholders('a{b="$x"} > $y # $z') == {"x", "y"}


@given(st.text())
def test_no_text_leaves_its_quotes(value: str) -> None:
    bound = bind('up{ns="$ns"} > 1', {"ns": value})
    match = re.fullmatch(r'up\{ns="((?:[^"\\\n]|\\.)*)"\} > 1', bound)
    assert match is not None
    body = match.group(1)
    body = (
        re.sub(r"\\U([0-9a-f]{8})", lambda m: chr(int(m.group(1), 16)), body)
        if "\\U" in body
        else body
    )
    plain = re.sub(
        r"\\(?:u([0-9a-f]{4})|(.))",
        lambda m: chr(int(m.group(1), 16)) if m.group(1) else m.group(2),
        body,
    )
    if "\\U" not in bound:
        assert plain == value


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_a_value_in_a_regex_matches_only_itself(value: str) -> None:
    bound = bind("up{ns=~`$ns`}", {"ns": value.replace("`", "")})
    pattern = bound[len("up{ns=~`") : -2]
    assert re.fullmatch(pattern, value.replace("`", ""))
    assert not re.fullmatch(pattern, value.replace("`", "") + "x")
