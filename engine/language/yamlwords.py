"""YAML syntax errors in words for the author, instead of the parser's."""

from __future__ import annotations

import re
from collections.abc import Callable

import yaml

_UNQUOTED_TEMPLATE = re.compile(r"(?:^|:\s|-\s|,\s|\[)\s*\{\{")
_QUOTE_TEMPLATE = 'a value that begins with {{ must be quoted: "{{ … }}"'

# The parser's problem (or its start), what to say, what to do.
_WORDS: list[tuple[str, str, str | None]] = [
    (
        "found a tab character",
        "a tab is used for indentation",
        "indent with spaces",
    ),
    (
        "mapping values are not allowed",
        "a ': ' stands where no value can begin",
        "quote a text that holds ': ', or put the key on a line of its own",
    ),
    ("found unexpected end of stream", "a quoted text is never closed", "add the closing quote"),
    (
        "found character that cannot start any token",
        "a value cannot begin with this character",
        "quote the value",
    ),
    (
        "did not find expected ',' or ']'",
        "a list [ is not closed, or a comma is missing",
        "add the comma, or the closing ]",
    ),
    (
        "did not find expected ',' or '}'",
        "a mapping { is not closed, or a comma is missing",
        "add the comma, or the closing }",
    ),
    (
        "did not find expected '-' indicator",
        "the list ends here with something that is no item",
        "begin each item with '- ', and indent all items alike",
    ),
    (
        "did not find expected key",
        "a key was expected here",
        "check the indentation, and quotes around texts that hold quotes",
    ),
    ("could not find expected ':'", "this line has no ': ' after its key", "write key: value"),
    (
        "block sequence entries are not allowed",
        "a list cannot begin here",
        "put '- ' on a line of its own below the key",
    ),
    (
        "block collections are not allowed",
        "a list or mapping cannot begin here",
        "put it on a line of its own below the key",
    ),
    ("found unknown escape character", "the text has an unknown escape", "use '…' or write \\\\"),
    ("found duplicate anchor", "the anchor is defined twice", None),
    ("found undefined tag handle", "tags are not allowed", "leave the tag out"),
    (
        "found invalid Unicode character escape code",
        "the escape stands for no character",
        "write the character itself",
    ),
    ("did not find expected hexdecimal number", "the escape needs hexadecimal digits", None),
    ("did not find expected <document start>", "nothing can follow the document here", None),
    ("found incompatible YAML document", "the YAML version is not known", "leave %YAML out"),
    ("found unexpected document indicator", "--- stands inside a quoted text", None),
    (
        "did not find expected alphabetic or numeric character",
        "a name must follow & or *",
        "quote a value that begins with & or *",
    ),
    (
        "did not find expected comment or line break",
        "nothing can follow | or > on its line",
        "begin the text on the next line",
    ),
    ("found a tab character where an indentation space", "a tab is used for indentation", None),
]


def explained(
    error: yaml.MarkedYAMLError, line_of: Callable[[int], str]
) -> tuple[int, int, str, str | None]:
    """Return line, column, message and hint of a syntax error.

    Args:
        line_of: returns the text of a line, numbered from 1.
    """
    problem = error.problem or error.context or "this is no YAML"
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    message, hint = next(
        ((words, what) for start, words, what in _WORDS if problem.startswith(start)),
        (problem, None),
    )
    if line_of(line)[column - 1 : column] == "\t":
        message, hint = "a tab is used for indentation", "indent with spaces"
    opened = error.context_mark
    if opened is not None and "never closed" in message:
        line, column = opened.line + 1, opened.column + 1
    elif opened is not None and opened.line != line - 1 and "expected" in problem:
        message += f" (it began at line {opened.line + 1}, column {opened.column + 1})"
    for near in (line, line - 1):
        if _UNQUOTED_TEMPLATE.search(line_of(near)):
            return line, column, message, _QUOTE_TEMPLATE
    return line, column, message, hint
