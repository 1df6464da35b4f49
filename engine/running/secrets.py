"""Secrets by reference: revealed just before a call, taken out of everything that comes back (DESIGN 12)."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engine.domain.canonical import Json
from engine.domain.errors import ActionFailed, Category
from engine.domain.plan import Planned
from engine.planning.scope import secret_reference

_MARK = re.compile("\u2063secret:([^\u2063]+)\u2063")
_SHORTEST = 4  # a shorter value would black out ordinary words


def read_reference(env: str | None, file: str | None, environ: Mapping[str, str]) -> str:
    """Return the text that a secret reference stands for.

    Raises:
        ActionFailed: (configuration) the variable is not set or the file cannot be read.
    """
    if env is not None:
        value = environ.get(env)
        if value is None:
            raise ActionFailed(
                Category.CONFIGURATION,
                f"the environment variable {env} is not set; set it where Stanch is started",
                effect_possible=False,
            )
        return value
    assert file is not None
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise ActionFailed(
            Category.CONFIGURATION,
            f"the secret's file {file} cannot be read: {error.strerror}",
            effect_possible=False,
        ) from error


class Secrets:
    """All secret values that this process has resolved, and the two ways between value and reference."""

    def __init__(
        self, resolve: Callable[[str], str], there_are: Callable[[], bool] = lambda: True
    ) -> None:
        self._resolve = resolve
        self._there_are = there_are  # whether `secret('name')` can stand for anything at all
        self._known: dict[str, str] = {}  # spelling to what is shown instead
        self._lock = threading.Lock()
        self._pattern: re.Pattern[str] | None = None

    def learn(self, name: str, value: str) -> str:
        """Remember a value so that it is redacted from now on, in its encoded spellings too."""
        if len(value) < _SHORTEST:
            return value
        raw = value.encode()
        spellings = {
            value,
            quote(value, safe=""),
            quote(value),
            base64.b64encode(raw).decode(),
            base64.b64encode(raw).decode().rstrip("="),
            base64.urlsafe_b64encode(raw).decode().rstrip("="),
        }
        with self._lock:
            if all(spelling in self._known for spelling in spellings):
                return value
            self._known.update(dict.fromkeys(spellings, secret_reference(name)))
            longest_first = sorted(self._known, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))
        return value

    def reveal(self, value: Json) -> Json:
        """Replace every `secret('name')` mark inside `value` by the secret's text."""
        if not self._there_are():
            return value
        return _map(value, self._reveal_text)

    def redact(self, value: Json) -> Json:
        """Replace every known secret inside `value` by its mark."""
        return value if self._pattern is None else _map(value, self._redact_text)

    def reveal_planned(self, planned: Planned) -> Planned:
        """`reveal` for a planned change."""
        return Planned.from_json(self.reveal(planned.as_json())) if self._there_are() else planned

    def redact_planned(self, planned: Planned) -> Planned:
        """`redact` for a planned change."""
        if self._pattern is None:
            return planned
        return Planned.from_json(self.redact(planned.as_json()))

    def _reveal_text(self, text: str) -> str:
        if "\u2063" not in text:
            return text
        return _MARK.sub(lambda match: self.learn(match[1], self._resolve(match[1])), text)

    def _redact_text(self, text: str) -> str:
        pattern = self._pattern
        if pattern is None or pattern.search(text) is None:
            return text
        return pattern.sub(lambda match: self._known[match[0]], text)


def _map(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {
            change(key) if isinstance(key, str) else key: _map(item, change)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_map(item, change) for item in value]
    return value
