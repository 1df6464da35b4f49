"""Keeping secret values out of what a client says: raw and in the encodings that errors carry."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "[redacted]"


class Redactor:
    """Masks known secret values, also base64 and URL encoded. Empty and one-letter values are ignored."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for secret in secrets:
            if len(secret) > 1:
                forms |= _forms(secret)
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return `text` with every form of every secret masked."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def json(self, value: object) -> object:
        """Return JSON data with every text in it, keys included, masked."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.json(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.json(item) for item in value]
        return value


def _forms(secret: str) -> set[str]:
    raw = secret.encode()
    forms = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), raw.hex()}
    forms |= {json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    # A secret inside a longer base64 text (user:password) starts at one of three bit offsets; the
    # characters that mix with its neighbours are left out. Short cores would mask innocent text.
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        first = (0, 2, 3)[offset]
        last = len(coded) - (1 if (offset + len(raw)) % 3 else 0)
        core = coded[first:last]
        if len(core) >= 6:
            forms |= {core, core.replace("+", "-").replace("/", "_")}
    return forms
