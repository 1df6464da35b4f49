"""Channel names by Slack's rules: small letters, digits, - and _, at most 80 characters (conversations.create)."""

from __future__ import annotations

import re

MOST = 80
_OTHER = re.compile(r"[^a-z0-9_-]+")


def channel_name(wanted: str, number: int = 1) -> str:
    """Return `wanted` as a name that Slack takes; with `number` above 1, another one of the same kind."""
    name = _OTHER.sub("-", wanted.lower()).strip("-_") or "incident"
    suffix = f"-{number}" if number > 1 else ""
    return name[: MOST - len(suffix)].rstrip("-_") + suffix
