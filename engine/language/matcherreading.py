"""Reading Alertmanager's matchers from text, quoting and UTF-8 included.

Two readings exist since Alertmanager 0.27 and both are accepted, as Alertmanager itself does by default:
the UTF-8 one (a name or value in double quotes with Go's escapes, or bare without reserved characters)
and the classic one (an ASCII name; a value with or without quotes, only `\\"`, `\\\\` and `\\n` escaped).
Where only the classic one reads a text, or both do and differ, the classic reading holds.
"""

from __future__ import annotations

import functools
import re
from typing import cast

from engine.language.matchers import Matcher, MatcherError, Op, whole_match
from engine.language.problems import shown

_EXAMPLE = 'write for example alertname="ETLFailed" or namespace=~"starforge.*"'


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """Read one or more matchers separated by commas, in braces or not.

    Raises:
        MatcherError: no reading accepts the text, or it names no matcher, or a regular expression is wrong.
    """
    matchers = _parse(text)
    if not matchers:
        raise MatcherError("no matcher was found", hint=_EXAMPLE)
    return matchers


def parse_matcher(text: str) -> Matcher:
    """Read exactly one matcher without braces.

    Raises:
        MatcherError: it is no matcher, or more than one.
    """
    if text.startswith("{") or text.endswith("}"):
        offset = 0 if text.startswith("{") else len(text) - 1
        raise MatcherError(f"{shown(text)} has a brace", offset=offset, hint="leave the braces out")
    found = parse_matchers(text)
    if len(found) > 1:
        raise MatcherError(f"{shown(text)} holds {len(found)} matchers", hint="write one matcher")
    return found[0]


def reading_note(text: str) -> str | None:
    """Return what an author should know of a text that the UTF-8 reading refuses or reads otherwise."""
    try:
        modern: tuple[Matcher, ...] | None = _Utf8(text).read()
    except MatcherError:
        modern = None
    try:
        held = parse_matchers(text)
    except MatcherError:
        return None
    if held == modern:
        return None
    return f"only Alertmanager's classic mode reads it so; write {', '.join(map(str, held))}"


@functools.lru_cache(maxsize=20_000)
def _parse(text: str) -> tuple[Matcher, ...]:
    try:
        modern = _Utf8(text).read()
    except MatcherError as error:
        classic = _classic_or_none(text)
        if classic is None:
            raise error from None
        return classic
    classic = _classic_or_none(text)
    return modern if classic is None else classic


def _classic_or_none(text: str) -> tuple[Matcher, ...] | None:
    try:
        return _classic(text)
    except MatcherError:
        return None


def _made(name: str, op: str, value: str, offset: int | None) -> Matcher:
    if not name:
        raise MatcherError("a label's name is empty", offset=offset)
    if op in ("=~", "!~"):
        whole_match(value, offset)
    return Matcher(name=name, op=cast(Op, op), value=value)


# ---- the UTF-8 reading ----------------------------------------------------------------------------

_RESERVED = frozenset("{}!=~,\\\"'`")
_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34}
_HEX = {"x": 2, "u": 4, "U": 8}


class _Utf8:
    """Reads a whole text; one instance a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def read(self) -> tuple[Matcher, ...]:
        braces = self._took("{")
        found: list[Matcher] = []
        while not self._ends() and not self._sees("}"):
            found.append(self._matcher())
            if not self._took(","):
                break
            if self._sees(","):
                raise self._wrong("a matcher or } is expected after a comma")
        if braces and not self._took("}"):
            raise self._wrong("a comma or } is expected" if not self._ends() else "a } is missing")
        if not self._ends():
            if self._sees("}"):
                raise self._wrong("a } has no {")
            raise self._wrong("a comma is expected" if found else "a matcher is expected")
        return tuple(found)

    def _matcher(self) -> Matcher:
        self._space()
        start = self.at
        name = self._word("a label's name")
        if not name:
            raise MatcherError("a label's name is empty", offset=start)
        op = self._operator()
        self._space()
        at = self.at
        return _made(name, op, self._word("a label's value"), at)

    def _operator(self) -> str:
        self._space()
        op = self.text[self.at : self.at + 2]
        if op in ("=~", "!=", "!~"):
            self.at += 2
            return op
        if op[:1] == "=":
            self.at += 1
            return "="
        raise self._wrong("one of = != =~ !~ is expected")

    def _word(self, what: str) -> str:
        self._space()
        if self.text[self.at : self.at + 1] == '"':
            return self._quoted()
        start = self.at
        while self.at < len(self.text) and not _is_reserved(self.text[self.at]):
            self.at += 1
        if self.at == start:
            raise self._wrong(f"{what} is expected")
        return self.text[start : self.at]

    def _quoted(self) -> str:
        start, out = self.at, bytearray()
        self.at += 1
        while True:
            character = self.text[self.at : self.at + 1]
            if not character:
                self.at = start
                raise self._wrong("the closing quote is missing")
            self.at += 1
            if character == '"':
                break
            if character == "\n":
                self.at -= 1
                raise self._wrong("a quoted text goes over the line's end", "write \\n")
            out += self._escape() if character == "\\" else _encoded(character)
        try:
            return out.decode()
        except UnicodeDecodeError:
            self.at = start
            raise self._wrong("the quoted text is not valid UTF-8") from None

    def _escape(self) -> bytes:
        kind = self.text[self.at : self.at + 1]
        start = self.at - 1
        if kind in _ESCAPES:
            self.at += 1
            return bytes([_ESCAPES[kind]])
        if kind in _HEX:
            digits = self.text[self.at + 1 : self.at + 1 + _HEX[kind]]
            if re.fullmatch(f"[0-9a-fA-F]{{{_HEX[kind]}}}", digits):
                self.at += 1 + _HEX[kind]
                code = int(digits, 16)
                if kind == "x":
                    return bytes([code])
                if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
                    return chr(code).encode()
        octal = self.text[self.at : self.at + 3]
        if re.fullmatch("[0-3][0-7]{2}", octal):
            self.at += 3
            return bytes([int(octal, 8)])
        self.at = start
        raise self._wrong(f"the escape \\{kind} is not known", "write \\\\ for a backslash")

    def _space(self) -> None:
        while self.at < len(self.text) and _is_space(self.text[self.at]):
            self.at += 1

    def _ends(self) -> bool:
        self._space()
        return self.at >= len(self.text)

    def _sees(self, character: str) -> bool:
        self._space()
        return self.text[self.at : self.at + 1] == character

    def _took(self, character: str) -> bool:
        seen = self._sees(character)
        self.at += seen
        return seen

    def _wrong(self, message: str, hint: str | None = None) -> MatcherError:
        found = shown(self.text[self.at : self.at + 1]) if self.at < len(self.text) else "the end"
        return MatcherError(f"{message}, found {found}", offset=self.at, hint=hint or _EXAMPLE)


def _is_reserved(character: str) -> bool:
    return character in _RESERVED or _is_space(character)


def _is_space(character: str) -> bool:
    # Python counts the separators 1C to 1F as space, Go does not.
    return character.isspace() and not "\x1c" <= character <= "\x1f"


def _encoded(character: str) -> bytes:
    return character.encode("utf-8", "surrogatepass")  # decoding then refuses a lone surrogate


# ---- the classic reading --------------------------------------------------------------------------

_CLASSIC = re.compile(
    r"[\t\n\f\r ]*([a-zA-Z_:][a-zA-Z0-9_:]*)[\t\n\f\r ]*(=~|=|!=|!~)[\t\n\f\r ]*((?s:.*?))[\t\n\f\r ]*\Z"
)


def _classic(text: str) -> tuple[Matcher, ...]:
    body = text.removeprefix("{").removesuffix("}")
    pieces: list[str] = []
    current: list[str] = []
    inside = escaped = False
    for character in body:
        if character == "," and not inside:
            pieces.append("".join(current))
            current = []
            continue
        if character == '"':
            inside = inside if escaped else not inside
            escaped = False
        elif character == "\\":
            escaped = not escaped
        elif character != ",":
            escaped = False
        current.append(character)
    last = "".join(current).strip()
    if last:
        pieces.append(last)
    return tuple(_classic_matcher(piece) for piece in pieces)


def _classic_matcher(piece: str) -> Matcher:
    match = _CLASSIC.match(piece)
    if match is None:
        raise MatcherError(f"{shown(piece)} is no matcher", hint=_EXAMPLE)
    name, op, raw = match.groups()
    quoted = raw.startswith('"')
    if quoted:
        raw = raw[1:]
        if not _ends_in_bare_quote(raw):
            raise MatcherError(f"{shown(piece)} has an unescaped quote")
        raw = raw[:-1]
    value = re.sub(r'\\([n"\\])', lambda m: "\n" if m.group(1) == "n" else m.group(1), raw)
    if '"' in re.sub(r"\\.", "", raw, flags=re.DOTALL):
        raise MatcherError(f"{shown(piece)} has an unescaped quote")
    return _made(name, op, value, None)


def _ends_in_bare_quote(raw: str) -> bool:
    if not raw.endswith('"'):
        return False
    before = raw[:-1]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 0
