"""A request and its answer, whatever carried them: a socket or a call."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from worlds.cluster.kinds import Kind


@dataclass(frozen=True)
class User:
    name: str
    groups: tuple[str, ...] = ()


ADMIN = User("admin", ("system:masters", "system:authenticated"))
OPERATOR = User("operator", ("system:authenticated",))
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


@dataclass(frozen=True)
class Request:
    """One request. `query` has one value a name, as this API uses it; but `command` may come again and again."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)  # lower-case names
    body: bytes = b""
    user: User = ADMIN
    command: tuple[str, ...] = ()

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip()


@dataclass
class Response:
    """One answer; `stream` yields chunks where it is a watch or a followed log.

    `frames` are (channel, bytes) of a WebSocket that the answer opens, sent after `seconds`.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    stream: Iterable[bytes] | None = None
    frames: tuple[tuple[int, bytes], ...] | None = None
    seconds: float = 0.0

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Call:
    """What a request asks for, once its path is read."""

    kind: Kind
    verb: str
    namespace: str  # '' for the cluster scope or all namespaces
    name: str = ""
    subresource: str = ""

    @property
    def resource(self) -> str:
        return f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural


def answer(value: Any, status: int = 200, warnings: tuple[str, ...] = ()) -> Response:
    """Return `value` as a JSON answer, with the server's warning headers."""
    headers = {"Content-Type": "application/json"}
    if warnings:
        headers["Warning"] = ", ".join(
            f'299 - "{text}"'.replace('"' + text + '"', json.dumps(text)) for text in warnings
        )
    return Response(status, _encoded(value), headers)


def _encoded(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # keys that are no texts, integers beyond 64 bits
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
