"""Who may deliver alerts: Alertmanager's bearer token or basic authentication, compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass


def _same(given: str, expected: str) -> bool:
    """Compare digests, so that neither content nor length shows in the time taken."""
    return hmac.compare_digest(
        hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest(),
        hashlib.sha256(expected.encode("utf-8", "surrogatepass")).digest(),
    )


@dataclass(frozen=True)
class Bearer:
    """`Authorization: Bearer TOKEN`."""

    token: str
    challenge = 'Bearer realm="stanch"'

    def allows(self, header: str | None) -> bool:
        scheme, _, given = (header or "").partition(" ")
        return _same(given.strip(), self.token) and scheme.lower() == "bearer"

    def __repr__(self) -> str:
        return "Bearer(token=***)"


@dataclass(frozen=True)
class Basic:
    """`Authorization: Basic base64(USER:PASSWORD)`."""

    username: str
    password: str
    challenge = 'Basic realm="stanch", charset="UTF-8"'

    def allows(self, header: str | None) -> bool:
        scheme, _, encoded = (header or "").partition(" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            given = ""
        return _same(given, f"{self.username}:{self.password}") and scheme.lower() == "basic"

    def __repr__(self) -> str:
        return f"Basic(username={self.username!r}, password=***)"


Auth = Bearer | Basic
