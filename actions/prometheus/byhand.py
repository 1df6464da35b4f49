"""promtool, for a person; curl where authentication is wanted."""

from __future__ import annotations

import re
from typing import Any

from actions.byhand import UNKNOWN, authentication
from engine.contract.byhand import ByHand, Given, Hand, command, note, option, text
from engine.domain.promql import PromqlError, bind

_NAME = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


def bound(given: Given) -> str:
    """Return the query with its params, as far as they can stand where they stand."""
    query, params = str(given.get("query", "<query>")), given.get("params")
    values: dict[str, Any] = dict(params) if isinstance(params, dict) else {}
    try:
        return bind(query, values)
    except PromqlError:
        return _NAME.sub(lambda match: text(values.get(match[1], match[0])), query)


def _asked(given: Given, at: ByHand, query: str, *more: str) -> str:
    settings = at.of(given)
    url = settings.url if settings is not None else UNKNOWN
    head = authentication(settings)
    if head:
        path = f"{url.rstrip('/')}/api/v1/query"
        return command("curl", "-fsS", *head, "-G", "--data-urlencode", f"query={query}", path)
    return command("promtool", "query", "instant", *more, url, query)


def query(_: object, given: Given, at: ByHand) -> Hand:
    return Hand([_asked(given, at, bound(given))])


def stretch(_: object, given: Given, at: ByHand) -> Hand:
    settings = at.of(given)
    url = settings.url if settings is not None else UNKNOWN
    until = option("--end", given.get("until"))
    line = command("promtool", "query", "range", *until, url, bound(given))
    return Hand([note(f"over the last {given.get('since', '1h')}"), line])


def compare(_: object, given: Given, at: ByHand) -> Hand:
    ago = given.get("ago", "1h")
    shown = f"{ago:g}s" if isinstance(ago, int | float) else ago
    return Hand(
        [
            note(f"now, and {shown} ago"),
            _asked(given, at, bound(given)),
            _asked(
                given, at, f"({bound(given)}) offset {shown}" if _plain(given) else bound(given)
            ),
        ]
    )


def _plain(given: Given) -> bool:
    """Whether `offset` may follow: it belongs to a selector, not to an expression."""
    return re.fullmatch(r"[A-Za-z_:][A-Za-z0-9_:]*(\{[^{}]*\})?", bound(given)) is not None


def spike(_: object, given: Given, at: ByHand) -> Hand:
    factor = given.get("factor", 3.0)
    lines = stretch(_, given, at).do
    return Hand([note(f"a spike is {factor} times the median of the hour before"), *lines])
