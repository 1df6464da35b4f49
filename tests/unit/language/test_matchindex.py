"""The index over many rules."""

from __future__ import annotations

from engine.language.matcherreading import parse_matchers
from engine.language.matchindex import MatchIndex


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
