"""Whether something that is said holds a secret, plain or in a form that errors and encodings give it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus


def spoken(said: object, secrets: Iterable[str]) -> str | None:
    """Return which form of which secret `said` holds, None where it holds none."""
    texts = [said] if isinstance(said, str) else _texts(said)
    for secret in secrets:
        for name, form in forms(secret):
            if any(form in text for text in texts):
                return f"{name} form of a secret of {len(secret)} characters"
    return None


def forms(secret: str) -> Iterator[tuple[str, str]]:
    """Yield the forms in which a secret may surface."""
    raw = secret.encode()
    yield "the plain", secret
    yield "the hexadecimal", raw.hex()
    yield "the JSON-escaped", json.dumps(secret)[1:-1]
    yield "the Python-escaped", repr(secret)[1:-1]
    for safe in ("", "/"):
        yield "the URL-encoded", quote(secret, safe=safe)
    yield "the form-encoded", quote_plus(secret)
    for name, encode in (
        ("the base64", base64.b64encode),
        ("the base64url", base64.urlsafe_b64encode),
    ):
        coded = encode(raw).decode().rstrip("=")
        yield (
            name,
            coded[:-1] if len(raw) % 3 else coded,
        )  # the last character also holds what follows


def _texts(value: Any) -> list[str]:
    """Return the data as JSON, with and without escapes, and each text in it by itself."""
    found = [json.dumps(value, default=str, ensure_ascii=plain) for plain in (False, True)]
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, dict):
            stack += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            stack += one
    return found
