"""Finds the rules that match an alert without trying every rule.

Every rule is filed once, under its most selective matcher that a label must satisfy: an equality, a regular
expression that is a list of literals (`a|b`), or one with a known beginning (`etl-.*`). An alert then
looks up its own labels and tries only the rules filed there, and the few that cannot be filed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from engine.language.matchers import Matcher, predicate
from engine.language.regexes import compile_regex

K = TypeVar("K")
_MOST_LITERALS = 100  # a longer list would file one rule under too many keys


class _Key(NamedTuple):
    """Where a rule may be filed: the label's whole value, or its beginning."""

    name: str
    exact: bool
    text: str


class _Test(NamedTuple):
    """One matcher ready to be asked, shared by all rules that have it."""

    number: int
    name: str
    passes: Callable[[str], bool]


class _Filed(NamedTuple):
    position: int
    tests: tuple[_Test, ...]


class MatchIndex(Generic[K]):
    """An immutable index over many rules' matchers; safe to share between threads.

    Args:
        rules: each rule's key with its matchers, in the order in which answers are given. A rule with
            no matchers matches every alert.
    """

    def __init__(self, rules: Sequence[tuple[K, tuple[Matcher, ...]]]) -> None:
        self._keys = [key for key, _ in rules]
        self._tests: dict[Matcher, _Test] = {}
        options = [[(matcher, _keys(matcher)) for matcher in matchers] for _, matchers in rules]
        crowd = Counter(key for rule in options for _, keys in rule for key in keys)
        self._exact: dict[str, dict[str, list[_Filed]]] = {}
        self._prefixes: dict[str, dict[int, dict[str, list[_Filed]]]] = {}
        self._rest: list[_Filed] = []
        for position, rule in enumerate(options):
            self._file(position, rule, crowd)

    def __len__(self) -> int:
        return len(self._keys)

    def candidates(self, labels: Mapping[str, str]) -> list[K]:
        """Return the keys of the rules whose matchers all hold for `labels`, in the original order."""
        buckets = [self._rest] if self._rest else []
        for name, value in labels.items():
            exact = self._exact.get(name)
            if exact is not None and value in exact:
                buckets.append(exact[value])
            prefixes = self._prefixes.get(name)
            if prefixes is not None:
                for length, bucket in prefixes.items():
                    start = value[:length]
                    if start in bucket:
                        buckets.append(bucket[start])
        found = []
        known: dict[int, bool] = {}
        for bucket_ in buckets:
            for position, tests in bucket_:
                for number, name, passes in tests:
                    answer = known.get(number)
                    if answer is None:
                        answer = known[number] = passes(labels.get(name, ""))
                    if not answer:
                        break
                else:
                    found.append(position)
        if len(buckets) > 1:
            found.sort()
        return [self._keys[position] for position in found]

    def _file(
        self,
        position: int,
        rule: list[tuple[Matcher, tuple[_Key, ...]]],
        crowd: Counter[_Key],
    ) -> None:
        best = min(
            (option for option in rule if option[1]),
            key=lambda option: sum(crowd[key] for key in option[1]),
            default=None,
        )
        if best is None:
            self._rest.append(_Filed(position, self._needed(rule, None)))
            return
        matcher, keys = best
        # Being found under an exact value proves that matcher; a prefix proves only its beginning.
        filed = _Filed(position, self._needed(rule, matcher if keys[0].exact else None))
        for key in keys:
            self._bucket(key).append(filed)

    def _bucket(self, key: _Key) -> list[_Filed]:
        if key.exact:
            return self._exact.setdefault(key.name, {}).setdefault(key.text, [])
        lengths = self._prefixes.setdefault(key.name, {})
        return lengths.setdefault(len(key.text), {}).setdefault(key.text, [])

    def _needed(
        self, rule: list[tuple[Matcher, tuple[_Key, ...]]], proven: Matcher | None
    ) -> tuple[_Test, ...]:
        return tuple(self._test(matcher) for matcher, _ in rule if matcher is not proven)

    def _test(self, matcher: Matcher) -> _Test:
        test = self._tests.get(matcher)
        if test is None:
            test = _Test(len(self._tests), matcher.name, predicate(matcher))
            self._tests[matcher] = test
        return test


def _keys(matcher: Matcher) -> tuple[_Key, ...]:
    """Return the keys that cover all that a matcher can match; none where "" (a missing label) matches."""
    if matcher.op == "=":
        return (_Key(matcher.name, True, matcher.value),) if matcher.value else ()
    if matcher.op != "=~":
        return ()
    regex = compile_regex(matcher.value)
    if regex.literals is not None:
        if "" in regex.literals or len(regex.literals) > _MOST_LITERALS:
            return ()
        return tuple(_Key(matcher.name, True, text) for text in sorted(regex.literals))
    return (_Key(matcher.name, False, regex.prefix),) if regex.prefix else ()
