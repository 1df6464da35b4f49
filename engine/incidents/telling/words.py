"""Small pieces of text that several messages share."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import PurePath

from engine.journal.rows import IncidentRow

_WHAT = re.compile(r"[^a-z0-9]+")
MARKS = {
    "P0": "🔴",
    "P1": "🟠",
    "P2": "🟡",
}


def clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}"


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def cut(text: str, most: int) -> str:
    """Return `text` in at most `most` characters, with a mark where some are missing."""
    return text if len(text) <= most else text[: most - 1] + "…"


def lines(given: list[str], most: int, what: str = "lines") -> str:
    """Join lines to at most `most` characters; the oldest are left out first, and it is said how many."""
    kept: list[str] = []
    size = 0
    for line in reversed(given):
        size += len(line) + 1
        if size > most - 40:
            break
        kept.insert(0, line)
    left = len(given) - len(kept)
    return "\n".join(([f"… {left} earlier {what}"] if left else []) + kept)


def first_up(text: str) -> str:
    return text[:1].upper() + text[1:]


def slug(text: str) -> str:
    return _WHAT.sub("-", text.lower()).strip("-")


def filed(name: str, key: str) -> str:
    """Return a file's name with a key in it: by it an upload is found again whose answer was lost."""
    path = PurePath(name)
    return f"{path.stem}-{key[:8]}{path.suffix or '.txt'}"


def channel_name(template: str, incident: IncidentRow, playbook: str | None) -> str:
    """Return the name that an incident's channel is to have, before the chat's own rules are applied."""
    pack = (playbook or "").partition("/")[0]
    what = slug(pack) or slug(incident.rule).partition("-")[0] or "incident"
    return template.format(
        what=what,
        rule=slug(incident.rule),
        severity=incident.severity.lower(),
        time=f"{incident.opened_at:%Y%m%d-%H%M}",
    )
