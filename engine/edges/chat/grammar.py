"""How a typed command is read: words, quotes and options, nothing more. Text is never evaluated."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.domain.errors import InvalidInput

MOST = 4000  # characters
_QUOTES = str.maketrans("\u201c\u201d\u201e\u2018\u2019", '"""\'\'')  # phones type these
_OPTION = re.compile(r"--([a-z][a-z_-]*)(?:=(.*))?\Z", re.DOTALL)


@dataclass(frozen=True)
class Typed:
    """A command as it was typed: its word, its arguments in order, its options."""

    word: str
    arguments: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)

    def rest(self, start: int) -> str:
        """The arguments from `start` on as one text, for a comment or a reason."""
        return " ".join(self.arguments[start:])


def read(text: str, options: Iterable[str] = ()) -> Typed:
    """Read a command. Double and single quotes keep words together; a quote within a word is a letter.

    Raises:
        InvalidInput: a quote is not closed, or an option is unknown or has no value.
    """
    if len(text) > MOST:
        raise InvalidInput(f"the command has {len(text)} characters; at most {MOST} are read")
    words = split(text.translate(_QUOTES))
    if not words:
        return Typed("help")
    known = set(options)
    arguments: list[str] = []
    found: dict[str, str] = {}
    rest = iter(words[1:])
    for word in rest:
        match = _OPTION.match(word)
        if match is None or match[1] not in known:
            if match is not None and known:
                raise InvalidInput(f"there is no option --{match[1]}; there are: {_named(known)}")
            arguments.append(word)
            continue
        value = match[2] if match[2] is not None else next(rest, None)
        if value is None:
            raise InvalidInput(f"--{match[1]} needs a value, as in --{match[1]}=…")
        found[match[1]] = value
    return Typed(words[0].lower(), tuple(arguments), found)


def _named(options: Iterable[str]) -> str:
    return ", ".join(f"--{one}" for one in sorted(options))


def split(text: str) -> list[str]:
    """Cut text into words; what stands in quotes at a word's beginning is one.

    Raises:
        InvalidInput: such a quote is not closed.
    """
    words: list[str] = []
    place, size = 0, len(text)
    while place < size:
        letter = text[place]
        if letter.isspace():
            place += 1
            continue
        word, place = _word(text, place)
        words.append(word)
    return words


def _word(text: str, place: int) -> tuple[str, int]:
    found: list[str] = []
    start = place
    while place < len(text) and not text[place].isspace():
        letter = text[place]
        opens = letter == '"' or (letter == "'" and (place == start or text[place - 1] == "="))
        if not opens:
            found.append(letter)
            place += 1
            continue
        end = text.find(letter, place + 1)
        if end < 0:
            raise InvalidInput(f"the quote before {text[place + 1 : place + 21]!r} is not closed")
        found.append(text[place + 1 : end])
        place = end + 1
    return "".join(found), place


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was most likely meant."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return close[0] if close else None
