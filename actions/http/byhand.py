"""curl, for a person."""

from __future__ import annotations

from actions.byhand import curl, query_words
from engine.contract.byhand import ByHand, Given, Hand, note


def _headers(given: Given) -> list[str]:
    headers = given.get("headers")
    words: list[str] = []
    for name, value in (headers if isinstance(headers, dict) else {}).items():
        words += ["-H", f"{name}: {value}"]
    return words


def get(_: object, given: Given, at: ByHand) -> Hand:
    method, path = str(given.get("method", "GET")), str(given.get("path", "<path>"))
    words = [*_headers(given), *query_words(given.get("query"))]
    return Hand([curl(at.of(given), method, path, *words, body=given.get("body"))])


def pages(_: object, given: Given, at: ByHand) -> Hand:
    words = [*_headers(given), *query_words(given.get("query"))]
    line = curl(at.of(given), "GET", str(given.get("path", "<path>")), *words)
    return Hand([note("the first page; ask on as the answer says"), line])


def download(_: object, given: Given, at: ByHand) -> Hand:
    words = [
        *_headers(given),
        *query_words(given.get("query")),
        "-o",
        given.get("name", "download"),
    ]
    return Hand([curl(at.of(given), "GET", str(given.get("path", "<path>")), *words)])


def request(_: object, given: Given, at: ByHand) -> Hand:
    words = [*_headers(given), *query_words(given.get("query"))]
    method, path = str(given.get("method", "POST")), str(given.get("path", "<path>"))
    do = [curl(at.of(given), method, path, *words, body=given.get("body"))]
    back = given.get("undo")
    if not isinstance(back, dict):
        return Hand(do)
    undo = curl(
        at.of(given),
        str(back.get("method", "POST")),
        str(back.get("path", "<path>")),
        body=back.get("body"),
    )
    return Hand(do, [undo])
