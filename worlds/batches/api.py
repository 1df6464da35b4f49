"""The provider's HTTP API, apart from any socket: a request in, a status with JSON or lines out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.domain.canonical import Json, JsonObject
from worlds.batches.provider import BatchProvider, NotThere

_BATCHES, _FILES = "/v1/batches", "/v1/files"


@dataclass(frozen=True)
class Reply:
    """An answer: JSON, or the lines of a file."""

    status: int = 200
    body: Json = None
    lines: Iterator[str] | None = None

    def chunks(self) -> Iterator[bytes]:
        """Yield the body, a file a few lines at a time."""
        if self.lines is None:
            yield json.dumps(self.body).encode()
            return
        held: list[str] = []
        for line in self.lines:
            held.append(line)
            if len(held) == 100:
                yield ("\n".join(held) + "\n").encode()
                held.clear()
        if held:
            yield ("\n".join(held) + "\n").encode()


def answer(
    provider: BatchProvider, method: str, path: str, query: Mapping[str, str], body: bytes
) -> Reply | None:
    """Answer a request; None where the API has no such call."""
    try:
        return _answered(provider, method, path, query, body)
    except NotThere as error:
        return _refused(404, str(error))
    except (ValueError, KeyError) as error:
        return _refused(400, f"invalid request: {error}")


def _answered(
    provider: BatchProvider, method: str, path: str, query: Mapping[str, str], body: bytes
) -> Reply | None:
    parts = path.strip("/").split("/")
    if (method, path) == ("GET", _BATCHES):
        return Reply(body=provider.page(int(query.get("limit", 20)), query.get("after")))
    if (method, path) == ("POST", _BATCHES):
        return Reply(body=provider.create(json.loads(body)))
    if (method, path) == ("POST", _FILES):
        return Reply(body=provider.upload(uploaded(body)))
    if method == "GET" and path.startswith(f"{_BATCHES}/") and len(parts) == 3:
        return Reply(body=provider.shown(provider.batch(parts[2])))
    if method == "POST" and path.startswith(f"{_BATCHES}/") and parts[3:] == ["cancel"]:
        return Reply(body=provider.cancel(parts[2]))
    if method == "GET" and path.startswith(f"{_FILES}/") and parts[3:] == ["content"]:
        return Reply(lines=provider.lines(parts[2]))
    return None


def _refused(status: int, message: str) -> Reply:
    kind = "invalid_request_error"
    error: JsonObject = {"message": message, "type": kind, "param": None, "code": None}
    return Reply(status, {"error": error})


def uploaded(body: bytes) -> bytes:
    """Return the file of a multipart form.

    Raises:
        ValueError: the form has none.
    """
    boundary = body.partition(b"\r\n")[0]
    for part in body.split(boundary)[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        if b'name="file"' in head and b"filename=" in head:
            return content.removesuffix(b"\r\n")
    raise ValueError("the form has no file")
