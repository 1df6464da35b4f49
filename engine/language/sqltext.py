"""What a playbook's SQL may not hold, found in its text: a second statement, clocks that a rehearsal cannot move."""

from __future__ import annotations

import re
from collections.abc import Iterator

# One token a match: comments and quoted parts are passed over whole.
_TOKEN = re.compile(
    r"""
    (?P<comment>--[^\n]*)
  | (?P<block>/\*)
  | (?P<escaped>[eE]'(?:[^'\\]|''|\\.)*'?)
  | (?P<text>'(?:[^']|'')*'?)
  | (?P<identifier>"(?:[^"]|"")*"?)
  | (?P<dollar>\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$)
  | (?P<word>[A-Za-z_][A-Za-z0-9_$]*)
  | (?P<semicolon>;)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK = re.compile(r"/\*|\*/")
_CLOCKS = {
    "current_timestamp": "now()",
    "clock_timestamp": "now()",
    "statement_timestamp": "now()",
    "transaction_timestamp": "now()",
    "timeofday": "now()::text",
    "localtimestamp": "now()::timestamp",
    "localtime": "now()::time",
    "current_date": "now()::date",
    "current_time": "now()::time",
}
_CALLED = {"clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday"}


def sql_problems(sql: str) -> Iterator[tuple[int, str, str]]:
    """Yield (offset, message, hint) for everything in a statement that a playbook may not hold."""
    ended: int | None = None
    for kind, start, text in _tokens(sql):
        if kind == "comment":
            continue
        if ended is not None:
            message = "a ; separates two statements, and a step makes one"
            yield ended, message, "make the second statement a step of its own"
            return
        if kind == "semicolon":
            ended = start
        elif kind == "word":
            word = text.lower()
            called = sql[start + len(text) :].lstrip().startswith("(")
            qualified = sql[:start].rstrip().endswith(".")
            if word in _CLOCKS and (called or word not in _CALLED) and not qualified:
                message = f"{word} does not run on a rehearsal's clock"
                yield start, message, f"write {_CLOCKS[word]}"


def _tokens(sql: str) -> Iterator[tuple[str, int, str]]:
    """Yield what is neither white space nor a comment's inside; comments come as `comment`."""
    position = 0
    while position < len(sql):
        if sql[position].isspace():
            position += 1
            continue
        match = _TOKEN.match(sql, position)
        if match is None:
            yield "other", position, sql[position]
            position += 1
            continue
        kind, end = str(match.lastgroup), match.end()
        if kind == "block":
            kind, end = "comment", _after_block(sql, position)
        elif kind == "dollar":
            closing = sql.find(match.group(), end)
            end = len(sql) if closing < 0 else closing + len(match.group())
        yield kind, position, sql[position:end]
        position = end


def _after_block(sql: str, start: int) -> int:
    """Return the index after a comment, which may hold comments, as PostgreSQL allows."""
    depth = 0
    for match in _BLOCK.finditer(sql, start):
        depth += 1 if match.group() == "/*" else -1
        if depth == 0:
            return match.end()
    return len(sql)
