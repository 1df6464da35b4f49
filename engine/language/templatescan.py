"""Finds `{{ expression }}` in texts, and refuses what only looks like one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.domain.canonical import Json
from engine.language.scope import TemplateError

_PAIRS = {"(": ")", "[": "]", "{": "}"}


def scan(text: str) -> list[tuple[int, int, str]]:
    """Return (start, end, expression) of every `{{ expression }}`: `text[start:end]` holds the braces too.

    Raises:
        TemplateError: a `{{` that is not closed, or a statement or comment; `offset` says where.
    """
    return list(each_expression(text))


def each_expression(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield what `scan` returns, so that a mistake inside an expression is met before one behind it.

    Raises:
        TemplateError: as `scan`, when that place is reached.
    """
    position = 0
    while (start := text.find("{", position)) >= 0:
        opening = text[start : start + 2]
        if opening == "{{":
            end = _closing(text, start)
            yield start, end, text[start + 2 : end - 2]
            position = end
        elif opening in ("{%", "{#"):
            what = "statements" if opening == "{%" else "comments"
            hint = f"write one expression in {{{{ }}}}, or {{{{ '{opening}' }}}} for the characters"
            raise TemplateError(
                f"{what} ({opening} …) are not part of values", offset=start, hint=hint
            )
        else:
            position = start + 1


def _closing(text: str, start: int) -> int:
    """Return the index after the `}}` that closes the `{{` at `start`, past quotes and brackets."""
    if text[start + 2 : start + 3] in ("-", "+") and text[start + 3 : start + 4].isspace():
        hint = "write {{ … }}"
        raise TemplateError("white-space control is not offered", offset=start, hint=hint)
    position, open_brackets = start + 2, []
    while position < len(text):
        character = text[position]
        if character in "'\"":
            position = _after_quote(text, position)
            continue
        if character in _PAIRS:
            open_brackets.append(_PAIRS[character])
        elif open_brackets and character == open_brackets[-1]:
            open_brackets.pop()
        elif character == "}" and text[position : position + 2] == "}}":
            return position + 2
        position += 1
    raise TemplateError("a {{ is not closed", offset=start, hint="close it with }}")


def _after_quote(text: str, start: int) -> int:
    quote, position = text[start], start + 1
    while position < len(text):
        if text[position] == "\\":
            position += 2
        elif text[position] == quote:
            return position + 1
        else:
            position += 1
    raise TemplateError("a text's closing quote is missing", offset=start)


def is_template(value: object) -> bool:
    """Tell whether a value is a text that holds a template (or something written like one)."""
    return (
        isinstance(value, str)
        and "{" in value
        and ("{{" in value or "{%" in value or "{#" in value)
    )


def template_texts(value: Json) -> Iterator[str]:
    """Yield every text inside a tree of JSON that holds a template.

    Raises:
        TemplateError: a key is one.
    """
    if isinstance(value, str):
        if is_template(value):
            yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if is_template(key):
                raise TemplateError(f"the key {key!r} is a template", hint="keys are plain text")
            yield from template_texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from template_texts(item)
