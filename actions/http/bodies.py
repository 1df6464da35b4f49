"""What goes out and what comes back: bodies as JSON, text and lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from engine.contract import ActionFailed, Category
from engine.domain.canonical import Json, JsonObject


@dataclass(frozen=True)
class Answer:
    """What came back, read whole and masked. `following` is the URL of `Link: <…>; rel="next"`, as sent."""

    status: int
    headers: Mapping[str, str]
    body: Json
    following: str | None = None

    def as_json(self) -> JsonObject:
        return {"status": self.status, "headers": dict(self.headers), "body": self.body}


def is_expected(status: int, expect: Iterable[int]) -> bool:
    """Whether the status is no failure: one of `expect`, or 200 to 299 where that is empty."""
    wanted = set(expect)
    return status in wanted if wanted else 200 <= status < 300


def split(chunks: Iterable[bytes | bytearray], max_line: int) -> Iterator[bytearray | None]:
    """Split into lines; None, at the end, where one is longer than `max_line`."""
    rest = bytearray()
    for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        for line in whole:
            rest += line
            if len(rest) > max_line:
                yield None
                return
            yield rest
            rest = bytearray()
        rest += last
        if len(rest) > max_line:
            yield None
            return
    if rest:
        yield rest


def content_of(body: Json, content_type: str) -> bytes | None:
    """Return a request's body as bytes.

    Raises:
        ActionFailed: (permanent) it is no text, and the type is not JSON.
    """
    if body is None:
        return None
    if "json" in content_type:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    if not isinstance(body, str):
        what = f"a body of {content_type} must be text; leave content_type out to send JSON"
        raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
    return body.encode()


def parsed(headers: Mapping[str, str], text: str) -> Json:
    """Return JSON where the server says that it is JSON, else text, else null."""
    if "json" in headers.get("content-type", ""):
        try:
            return json.loads(text, parse_constant=lambda name: name)
        except ValueError:
            return text
    return text or None


def field_of(body: Json, name: str) -> Json:
    """Return a field by its dotted name, None where there is none."""
    for part in name.split("."):
        if not isinstance(body, Mapping) or part not in body:
            return None
        body = body[part]
    return body
