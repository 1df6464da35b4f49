"""Matching: how long one alert takes against 1, 100 and 10,000 rules."""

from __future__ import annotations

import statistics
import time

from engine.language.matcherreading import parse_matcher
from engine.language.matchers import Matcher
from engine.language.matchindex import MatchIndex


def rules(count: int) -> list[tuple[int, tuple[Matcher, ...]]]:
    """Return rules as people write them: a name of an alert, a namespace by regular expression."""
    return [
        (
            n,
            (
                parse_matcher(f'alertname="Alert{n}"'),
                parse_matcher(f'namespace=~"team-{n % 50}-.*"'),
            ),
        )
        for n in range(count)
    ]


def microseconds(count: int, rounds: int) -> float:
    """Return the median over `rounds` of one alert against `count` rules, hits and misses in turn."""
    index: MatchIndex[int] = MatchIndex(rules(count))
    alerts = [
        {
            "alertname": f"Alert{n % (2 * count)}",
            "namespace": f"team-{n % 50}-{n}",
            "severity": "P2",
            "pod": f"pod-{n}",
        }
        for n in range(1000)
    ]
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        for labels in alerts:
            index.candidates(labels)
        taken.append((time.perf_counter() - began) / len(alerts) * 1e6)
    return statistics.median(taken)
