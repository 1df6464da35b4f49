"""Items of batches that are done, or that a run has taken up, by their content: once across all runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, select

from engine.journal.codec import clean, instant, micros
from engine.journal.measure_tables import done_items
from engine.journal.repository import Repository
from engine.journal.rows import ItemRow
from engine.journal.session import Row
from engine.journal.statement import Statement, p, upsert
from engine.journal.tables import runs

T = done_items
R = runs
_CHUNK = 100  # contents of one question

PUT = Statement(upsert(T, ["content"], ["run_id", "address", "at"]))
FIND = Statement(
    select(T.c.content, T.c.run_id, T.c.address, T.c.at, R.c.ended_at)
    .join(R, R.c.id == T.c.run_id, isouter=True)
    .where(T.c.content.in_([p(f"c{n}") for n in range(_CHUNK)]))
)
RELEASE = Statement(
    delete(T).where(T.c.content == p("content"), T.c.run_id == p("run_id"), T.c.address == p("no"))
)
FORGET = Statement(delete(T).where(T.c.run_id == p("run_id"), T.c.address == p("address")))
PRUNE = Statement(delete(T).where(T.c.at < p("before")))


class DoneItems(Repository):
    """A row without an address is taken up and not done yet: it counts while its run is under way."""

    def done(self, run_id: str, content: str, address: str) -> None:
        self._put(run_id, content, clean(address))

    def find(self, contents: Iterable[str], since: datetime, but: str) -> Mapping[str, ItemRow]:
        least = micros(since)
        return {
            row[0]: ItemRow(row[1], instant(row[3]), done=bool(row[2]))
            for row in self._rows(contents)
            if row[1] != but and _counts(row, least)
        }

    def take(self, contents: Sequence[str], since: datetime, run_id: str) -> Mapping[str, ItemRow]:
        # Two runs that open their batches at one time would otherwise both find nothing.
        self._s.serialise("done items")
        others = self.find(contents, since, run_id)
        own = {row[0] for row in self._rows(contents) if row[1] == run_id}
        for content in contents:
            if content not in others and content not in own:
                self._put(run_id, content, "")
        return others

    def release(self, run_id: str, content: str) -> None:
        self._s.run(RELEASE, content=content, run_id=run_id, no="")

    def forget(self, run_id: str, addresses: Iterable[str]) -> None:
        for address in addresses:
            self._s.run(FORGET, run_id=run_id, address=clean(address))

    def prune(self, before: datetime) -> None:
        self._s.run(PRUNE, before=micros(before))

    def _put(self, run_id: str, content: str, address: str) -> None:
        self._s.run(PUT, content=content, run_id=run_id, address=address, at=self._now())

    def _rows(self, contents: Iterable[str]) -> Iterable[Row]:
        names = list(contents)
        for start in range(0, len(names), _CHUNK):
            several = names[start : start + _CHUNK]
            chunk = several + [several[-1]] * (_CHUNK - len(several))
            yield from self._s.all(FIND, **{f"c{n}": one for n, one in enumerate(chunk)})


def _counts(row: Row, since: int) -> bool:
    """Done lately enough; or taken up by a run that is there and has not ended."""
    _, _, address, at, ended_at = row
    return bool(at >= since) if address else ended_at is None
