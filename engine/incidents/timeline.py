"""One readable line for every journal entry; the CLI, the API, the demo and postmortems print the same.

`describe` never raises: an entry of a kind that it does not know, or with fields missing, is still told.
"""

from __future__ import annotations

from engine.domain.canonical import JsonObject
from engine.domain.entry import Entry, StoredEntry
from engine.incidents.lines import incidents, nodes, runs
from engine.incidents.lines.fields import Teller, Told, short

_TELLERS: dict[str, Teller] = {**runs.LINES, **incidents.LINES, **nodes.LINES}

KINDS = frozenset(_TELLERS)


def describe(entry: Entry | StoredEntry) -> str:
    """Return what happened, as one line of English without its time."""
    tell = _TELLERS.get(entry.kind)
    body = Told(entry.body)
    line = tell(body) if tell is not None else _unknown(entry.kind, entry.body)
    return " ".join(line.split()) or entry.kind


def _unknown(kind: str, body: JsonObject) -> str:
    return f"{kind} {short(body)}" if body else kind
