"""`Objects` behind a boto3 client, without a socket between them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from worlds.objects.api import answer
from worlds.objects.objects import Objects
from worlds.objects.requests import Request


class _Raw(io.BytesIO):
    """A body as botocore reads it from urllib3."""

    def stream(self, size: int = 65536, **_: Any) -> Iterator[bytes]:
        while data := self.read(size):
            yield data


def attach(boto: Any, objects: Objects) -> None:
    """Let `objects` answer every request of this boto3 client; nothing goes over a network."""
    from botocore.awsrequest import AWSResponse

    def send(request: Any, **_: Any) -> Any:
        headers = {
            name: value.decode("latin-1") if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        headers.setdefault("Host", request.url.partition("://")[2].partition("/")[0])
        body = request.body or b""
        data = body.read() if hasattr(body, "read") else body
        data = data.encode() if isinstance(data, str) else bytes(data)
        made = answer(objects, Request.of(request.method, request.url, headers, data))
        return AWSResponse(request.url, made.status, _Headers(made.headers), _Raw(made.body))

    boto.meta.events.register("before-send.s3", send)


class _Headers(dict[str, str]):
    """Header names without regard to case."""

    def __init__(self, given: Any) -> None:
        super().__init__({name.lower(): value for name, value in given.items()})

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())
