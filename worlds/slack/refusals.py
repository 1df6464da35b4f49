"""Slack's refusals."""

from __future__ import annotations


class Refused(Exception):
    """`{"ok": false, "error": code}`, with whatever else Slack tells."""

    def __init__(self, code: str, **more: object) -> None:
        super().__init__(code)
        self.code = code
        self.more = more


class TooMany(Exception):
    """429 with Retry-After."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds
