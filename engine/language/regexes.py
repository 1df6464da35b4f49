"""Regular expressions as Alertmanager and Prometheus have them: RE2, anchored at both ends, linear in time.

RE2 itself judges and matches, so what it does not have (lookaround, backreferences, possessive and atomic
groups) is refused, as Alertmanager refuses it. Common shapes (`a|b|c`, `prefix.*`, `.+`) never reach it:
they are sets and prefixes, which `matchindex` also uses to find rules without trying them all.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

from engine.language.problems import BadText, shown

_META = frozenset("\\.+*?()|[]{}^$")
_MAX_PATTERN = 10_000
_REASONS = {
    "(?=": "lookahead",
    "(?!": "lookahead",
    "(?<=": "lookbehind",
    "(?<!": "lookbehind",
    "(?>": "an atomic group",
    "(?P=": "a backreference",
    "(?#": "a comment",
}


class RegexError(BadText):
    """A regular expression that RE2, and so Alertmanager, does not accept."""


@dataclass(frozen=True)
class Regex:
    """One compiled pattern.

    Attributes:
        literals: all the texts that it matches, where these are a plain list (`a|b|c`), else None.
        prefix: what every matching text begins with; "" where nothing is known.
        matches: tells whether the whole of a text matches.
    """

    pattern: str
    literals: frozenset[str] | None
    prefix: str
    matches: Callable[[str], bool]


@functools.lru_cache(maxsize=20_000)
def compile_regex(pattern: str) -> Regex:
    """Compile an anchored pattern.

    Raises:
        RegexError: RE2 does not accept it; the message says what and where.
    """
    if len(pattern) > _MAX_PATTERN:
        raise RegexError(f"the regular expression is over {_MAX_PATTERN} characters long")
    literals = _literals(pattern)
    if literals is not None:
        return Regex(pattern, literals, _common_prefix(literals), literals.__contains__)
    prefix, rest = _leading(pattern)
    if rest == ".*":
        return Regex(pattern, None, prefix, functools.partial(_starts, prefix, len(prefix)))
    if rest == ".+":
        return Regex(pattern, None, prefix, functools.partial(_starts, prefix, len(prefix) + 1))
    return Regex(pattern, None, _safe_prefix(pattern), _compile(pattern))


def _starts(prefix: str, least: int, value: str) -> bool:
    # RE2's dot does not match a line feed.
    return value.startswith(prefix) and len(value) >= least and "\n" not in value[len(prefix) :]


def _compile(pattern: str) -> Callable[[str], bool]:
    import re2

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    _refuse_any_byte(pattern)
    try:
        compiled = re2.compile(pattern.encode(), options)
    except UnicodeEncodeError as error:
        offset = error.start
        raise RegexError("the regular expression is not valid text", offset=offset) from error
    except re2.error as error:
        raise _refusal(pattern, error) from error
    fullmatch = compiled.fullmatch

    def matches(value: str) -> bool:
        return fullmatch(value.encode(errors="replace")) is not None

    return matches


def _refuse_any_byte(pattern: str) -> None:
    """RE2 in C++ knows `\\C` (any byte), Go's does not."""
    if "\\Q" in pattern:
        return
    for match in re.finditer(r"\\(.)", pattern, re.DOTALL):
        if match.group(1) == "C":
            message = f"{shown(pattern)} is no regular expression: invalid escape \\C"
            raise RegexError(message, offset=match.start())


def _refusal(pattern: str, error: Exception) -> RegexError:
    detail = error.args[0] if error.args else ""
    text = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
    for start, name in _REASONS.items():
        at = pattern.find(start)
        if at >= 0 and "perl operator" in text:
            message = f"{shown(pattern)} is no regular expression: it uses {name}, {start}"
            return RegexError(
                message, offset=at, hint="RE2 has neither lookaround nor atomic groups"
            )
    message = f"{shown(pattern)} is no regular expression: {text}"
    backreference = re.search(r"\\[1-9]", pattern)
    if "escape sequence" in text and backreference:
        offset = backreference.start()
        return RegexError(message, offset=offset, hint="RE2 has no backreferences")
    at = pattern.find(text.rpartition(": ")[2]) if ": " in text else -1
    return RegexError(message, offset=at if at >= 0 else None)


# ---- shapes that need no engine -------------------------------------------------------------------


def _literals(pattern: str) -> frozenset[str] | None:
    body = pattern
    if body.startswith("^") and body.endswith("$") and "|" not in body and "\\" not in body:
        body = body[1:-1]
    for opening in ("(?:", "("):
        if body.startswith(opening) and body.endswith(")"):
            inner = body[len(opening) : -1]
            if "(" not in inner and ")" not in inner and not inner.startswith("?"):
                body = inner
            break
    found: list[str] = []
    current: list[str] = []
    position = 0
    while position < len(body):
        character = body[position]
        if character == "|":
            found.append("".join(current))
            current = []
        elif character == "\\":
            escaped = body[position + 1 : position + 2]
            if escaped not in _META and escaped not in ("-", "/", "_"):
                return None
            if not escaped:
                return None
            current.append(escaped)
            position += 1
        elif character in _META or 0xD800 <= ord(character) <= 0xDFFF:
            return None
        else:
            current.append(character)
        position += 1
    found.append("".join(current))
    return frozenset(found)


def _common_prefix(literals: frozenset[str]) -> str:
    least, most = min(literals), max(literals)
    for index, character in enumerate(least):
        if character != most[index]:
            return least[:index]
    return least


def _leading(pattern: str) -> tuple[str, str]:
    """Return the plain characters that a pattern begins with and what follows them."""
    literal, position = [], 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\" and pattern[position + 1 : position + 2] in _META:
            literal.append(pattern[position + 1])
            position += 2
            continue
        if character in _META or 0xD800 <= ord(character) <= 0xDFFF:
            break
        literal.append(character)
        position += 1
    return "".join(literal), pattern[position:]


def _safe_prefix(pattern: str) -> str:
    """Return a prefix that every match has; "" whenever an alternative might begin otherwise."""
    if "\\Q" in pattern or ("[" in pattern and "|" in pattern):
        return ""
    depth, escaped = 0, False
    for character in pattern:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "|" and depth == 0:
            return ""
    literal, rest = _leading(pattern.removeprefix("^"))
    return literal[:-1] if rest[:1] in ("*", "?", "{") and rest[:1] else literal
