"""What satisfies a matcher."""

from __future__ import annotations

from engine.language.matcherreading import parse_matcher, parse_matchers
from engine.language.matchers import matches_all


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
