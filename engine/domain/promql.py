"""Binding of named parameters into PromQL text.

`$name` inside quotes becomes part of that string, escaped for its quote (and as a literal for the
regular expressions of `=~` and `!~`, so that a label value can never widen a matcher). A label's value may
also be a bare `$name` (`{namespace=$ns}`), which is then quoted. Elsewhere outside quotes only numbers and
durations may stand. `$$` inside quotes is one dollar sign. Comments are left out.

Source of the lexical rules: Prometheus, "Querying basics", string literals and duration literals.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DURATION = re.compile(r"(?=\d)(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?\Z")
_REGEX_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")  # what RE2 treats as an operator


class PromqlError(ValueError):
    """The query or its parameters cannot be bound; the message says where and what to do.

    `offset` is the index of the character in the query where it is, or None.
    """

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True)
class _Piece:
    """A stretch of the query: plain text, or one placeholder with what surrounds it."""

    text: str
    name: str | None = None
    quote: str = ""  # the quote it stands in, or empty
    regex: bool = False  # in a string after =~ or !~
    ranged: bool = False  # between [ and ], or after `offset`
    column: int = 0
    bare: bool = False  # a label's whole value without quotes


def placeholders(query: str) -> frozenset[str]:
    """Return the names that `query` wants bound.

    Raises:
        PromqlError: a quote is not closed, or a `$` outside quotes names nothing.
    """
    return frozenset(piece.name for piece in _pieces(query) if piece.name)


def bind(query: str, params: Mapping[str, Any]) -> str:
    """Return `query` with every `$name` replaced by the value of that name.

    Args:
        query: PromQL text.
        params: text, numbers, durations (`5m`, or seconds between brackets), and for `=~` lists of texts.

    Raises:
        PromqlError: a name is unbound or unused, or a value cannot stand where its name stands.
    """
    pieces = list(_pieces(query))
    _check(pieces, params)
    return "".join(
        piece.text if piece.name is None else _value(piece, params[piece.name]) for piece in pieces
    )


def check_names(query: str, given: Collection[str]) -> None:
    """Check that `query` wants exactly the names `given`, without their values.

    Raises:
        PromqlError: a name is unbound or unused, or the query's quotes are wrong.
    """
    _check(list(_pieces(query)), given)


def _check(pieces: list[_Piece], given: Collection[str]) -> None:
    for piece in pieces:
        if piece.name and piece.name not in given:
            known = ", ".join(sorted(given)) or "none"
            message = f"params has no value for ${piece.name}; given: {known}"
            raise PromqlError(message, piece.column - 1)
    unused = sorted(set(given) - {piece.name for piece in pieces if piece.name})
    if unused:
        raise PromqlError(f"params.{unused[0]} is not used: the query has no ${unused[0]}")


def _pieces(query: str) -> Iterator[_Piece]:
    start = index = 0
    quote, opened = "", 0
    regex = False
    brackets = braces = 0
    while index < len(query):
        char = query[index]
        if quote:
            if char == "\\" and quote != "`":
                index += 2
                continue
            if char == quote:
                quote = ""
            elif char == "$" and query[index : index + 2] == "$$":
                yield _Piece(query[start : index + 1])
                index += 2
                start = index
                continue
            elif char == "$" and (match := _NAME.match(query, index + 1)):
                yield _Piece(query[start:index])
                yield _Piece("", match.group(), quote, regex, column=index + 1)
                start = index = match.end()
                continue
        elif char in "\"'`":
            quote, opened = char, index
            regex = query[:index].rstrip().endswith(("=~", "!~"))
        elif char == "#":
            yield _Piece(query[start:index])
            end = query.find("\n", index)
            start = index = len(query) if end < 0 else end
            continue
        elif char == "$":
            match = _NAME.match(query, index + 1)
            if match is None:
                raise PromqlError(
                    f"column {index + 1}: a $ outside quotes must name a parameter", index
                )
            yield _Piece(query[start:index])
            yield _unquoted(query, match, braces > 0, brackets > 0)
            start = index = match.end()
            continue
        elif char in "[]":
            brackets += 1 if char == "[" else -1
        elif char in "{}":
            braces += 1 if char == "{" else -1
        index += 1
    if quote:
        raise PromqlError(f"the query ends inside a string: its closing {quote} is missing", opened)
    yield _Piece(query[start:])


def _unquoted(query: str, match: re.Match[str], labels: bool, ranged: bool) -> _Piece:
    """The placeholder outside quotes whose name `match` is: a label's whole value, or a number."""
    before = query[: match.start() - 1].rstrip()
    column = match.start()
    if labels and before.endswith(("=", "=~", "!~")):
        like = before.endswith("~")
        return _Piece("", match.group(), '"', like, column=column, bare=True)
    ranged = ranged or re.search(r"\boffset\s*-?\s*\Z", query[: match.start() - 1]) is not None
    return _Piece("", match.group(), ranged=ranged, column=column)


def _value(piece: _Piece, value: Any) -> str:
    if piece.bare:
        return f'"{_quoted(piece, value)}"'
    if piece.quote:
        return _quoted(piece, value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _wrong(piece, value, "a number or a duration such as 5m")
    if isinstance(value, str):
        if not _DURATION.match(value):
            raise _wrong(piece, value, "a number or a duration such as 5m; put text in quotes")
        return value
    if not math.isfinite(value):
        raise _wrong(piece, value, "a finite number")
    if piece.ranged:
        return _seconds(piece, value)
    return repr(value)


def _seconds(piece: _Piece, value: float) -> str:
    """Write seconds as a duration literal: a bare number between brackets needs Prometheus 3."""
    milliseconds = round(value * 1000)
    if milliseconds <= 0:
        raise _wrong(piece, value, "a duration above zero")
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def _quoted(piece: _Piece, value: Any) -> str:
    if piece.regex and isinstance(value, Sequence) and not isinstance(value, str):
        if not value:
            raise _wrong(piece, value, "at least one text")
        return _escaped(piece, "|".join(_literal(piece, item) for item in value))
    text = _literal(piece, value)
    return _escaped(piece, text)


def _literal(piece: _Piece, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _wrong(piece, value, "text or a number")
    text = value if isinstance(value, str) else repr(value)
    return _REGEX_SPECIAL.sub(r"\\\1", text) if piece.regex else text


def _escaped(piece: _Piece, text: str) -> str:
    if piece.quote == "`":
        if "`" in text:
            raise _wrong(piece, text, "text without a backtick; use double quotes in the query")
        return text
    text = text.replace("\\", "\\\\").replace(piece.quote, "\\" + piece.quote)
    return "".join(char if char.isprintable() else _code(char) for char in text)


def _code(char: str) -> str:
    number = ord(char)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _wrong(piece: _Piece, value: Any, expected: str) -> PromqlError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    message = f"column {piece.column}: ${piece.name} is {shown}; expected {expected}"
    return PromqlError(message, piece.column - 1)
