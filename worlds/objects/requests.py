"""A request to S3 and the answer to it, as data, apart from how they travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True)
class Request:
    """What was asked. `path` is as it was sent, `bucket` and `key` are decoded; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    bucket: str
    key: str

    @classmethod
    def of(cls, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Request:
        """Read a request to a path-style address."""
        parts = urlsplit(url)
        bucket, _, key = parts.path.lstrip("/").partition("/")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        lower = {name.lower(): value for name, value in headers.items()}
        return cls(method, parts.path, query, lower, body, unquote(bucket), unquote(key))


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class S3Error(Exception):
    """An error that S3 answers with. Source: Amazon S3 API reference, error responses."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def answer(self) -> Answer:
        inner = element("Code", self.code) + element("Message", str(self))
        return document(f"<Error>{inner}</Error>", self.status)


def document(xml: str, status: int = 200) -> Answer:
    """Return an XML answer."""
    return Answer(status, {"Content-Type": "application/xml"}, (_HEAD + xml).encode())


def element(name: str, text: object) -> str:
    """Return one element with escaped text."""
    return f"<{name}>{escape(str(text))}</{name}>"
