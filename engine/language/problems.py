"""The error of a text that a person wrote: what is wrong, where inside the text, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from engine.domain.errors import InvalidInput


class BadText(InvalidInput):
    """A value of the language cannot be read.

    Attributes:
        message: what is wrong, without the hint.
        offset: index of the character inside the text where it goes wrong, or None where it is all of it;
            the loader turns it into a column of the file.
        hint: what to write instead, or None.
    """

    def __init__(self, message: str, *, offset: int | None = None, hint: str | None = None) -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.message = message
        self.offset = offset
        self.hint = hint


class UnitError(BadText):
    """A duration, quantity, size, number, comparison or tolerance cannot be read."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` most likely was meant to be, or None."""
    found = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return the hint `did you mean X?`, or None where nothing is near."""
    near = nearest(word, known)
    return f"did you mean {near}?" if near else None


def shown(text: str, most: int = 60) -> str:
    """Return `text` quoted for a message, cut in the middle of nothing: its start and an ellipsis."""
    return repr(text) if len(text) <= most else f"{text[:most]!r}…"
