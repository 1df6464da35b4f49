"""What the journal tells people: incidents' timelines, attached files, and pages that somebody must see."""

from __future__ import annotations

from collections.abc import Iterator

from engine.domain.rehearsed import Message
from engine.edges.rehearsal.seen import Seen
from engine.incidents.timeline import describe
from engine.journal.store import Tx

ARTIFACTS, PAGES, TIMELINE = "artifacts", "pages", "timeline"
UNSTEADY = frozenset({PAGES, TIMELINE})  # they also tell of what went wrong on the way
_MOST = 10_000


def recorded(tx: Tx, seen: Seen) -> Iterator[Message]:
    """Yield each line of the timelines, each page, and each file as its name and its content.

    Files of runs that belong to no incident are the runs' own. Of a file that lies elsewhere the reference
    stands for the content.
    """
    for incident in seen.incidents:
        for entry in tx.journal.read(incident.id):
            yield Message(entry.at, TIMELINE, describe(entry))
    for page in tx.pages.list(open_only=False, limit=_MOST):
        yield Message(page.raised_at, PAGES, f"{page.level}: {page.reason}")
    for subject in [*(one.id for one in seen.incidents), *(run.row.id for run in seen.runs)]:
        for row in tx.artifacts.of(subject):
            content = tx.artifacts.content(row.id)
            text = str(row.reference) if content is None else content.decode("utf-8", "replace")
            yield Message(row.at, ARTIFACTS, f"{row.name}\n{text}")
