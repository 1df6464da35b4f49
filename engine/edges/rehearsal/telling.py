"""What the incident's own record tells people: its timeline, and the files that were attached to it."""

from __future__ import annotations

from collections.abc import Iterator

from engine.domain.rehearsed import Message
from engine.edges.rehearsal.seen import Seen
from engine.incidents.timeline import describe
from engine.journal.store import Tx

ARTIFACTS, TIMELINE = "artifacts", "timeline"


def recorded(tx: Tx, seen: Seen) -> Iterator[Message]:
    """Yield each line of the incidents' timelines, and each file as its name and its content.

    Files of runs that belong to no incident are the runs' own. Of a file that lies elsewhere the reference
    stands for the content.
    """
    for incident in seen.incidents:
        for entry in tx.journal.read(incident.id):
            yield Message(entry.at, TIMELINE, describe(entry))
    for subject in [*(one.id for one in seen.incidents), *(run.row.id for run in seen.runs)]:
        for row in tx.artifacts.of(subject):
            content = tx.artifacts.content(row.id)
            text = str(row.reference) if content is None else content.decode("utf-8", "replace")
            yield Message(row.at, ARTIFACTS, f"{row.name}\n{text}")
