"""Alertmanager's matchers: `name="value"`, `!=`, `=~`, `!~`, quoting and UTF-8 included."""

from __future__ import annotations

from typing import Literal

from engine.language.program import Frozen


class Matcher(Frozen):
    """One matcher. A missing label counts as the empty string, as in Alertmanager."""

    name: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str
