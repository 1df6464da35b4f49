"""Alertmanager's matchers: `name="value"`, `!=`, `=~`, `!~`, and what satisfies them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

from engine.language.problems import BadText
from engine.language.program import Frozen
from engine.language.regexes import RegexError, compile_regex

Op = Literal["=", "!=", "=~", "!~"]
_CLASSIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


class MatcherError(BadText):
    """A matcher cannot be read; `offset` says where."""


class Matcher(Frozen):
    """One matcher. A missing label counts as the empty string, as in Alertmanager."""

    name: str
    op: Op
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels satisfy it. A regular expression must match the whole value.

        Raises:
            MatcherError: the value is no regular expression; `parse_matchers` would have refused it.
        """
        return predicate(self)(labels.get(self.name, ""))

    def __str__(self) -> str:
        name = self.name if _CLASSIC_NAME.fullmatch(self.name) else _quoted(self.name)
        return f"{name}{self.op}{_quoted(self.value)}"


def predicate(matcher: Matcher) -> Callable[[str], bool]:
    """Return the test that a label's value must pass ("" where the label is missing)."""
    if matcher.op == "=":
        return matcher.value.__eq__
    if matcher.op == "!=":
        return matcher.value.__ne__
    positive = whole_match(matcher.value, None)
    return positive if matcher.op == "=~" else lambda value: not positive(value)


def matches_all(matchers: tuple[Matcher, ...], labels: Mapping[str, str]) -> bool:
    """Tell whether labels satisfy every matcher; no matchers are satisfied by all."""
    return all(matcher.matches(labels) for matcher in matchers)


def whole_match(pattern: str, offset: int | None) -> Callable[[str], bool]:
    """Return the test that a regular expression is: a value must match it as a whole.

    Raises:
        MatcherError: it is none; `offset` is where it stands in the text that was read.
    """
    try:
        return compile_regex(pattern).matches
    except RegexError as error:
        raise MatcherError(error.message, offset=offset, hint=error.hint) from error


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
