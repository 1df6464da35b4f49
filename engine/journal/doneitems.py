"""Items of batches that were done, by their content: what later runs need not do again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, select

from engine.journal.codec import clean, instant, micros
from engine.journal.measure_tables import done_items
from engine.journal.repository import Repository
from engine.journal.statement import Statement, p, upsert

T = done_items
ADD = Statement(upsert(T, ["content"], ["run_id", "address", "at"]))
FIND = Statement(
    select(T.c.run_id, T.c.at).where(
        T.c.content == p("content"), T.c.at >= p("since"), T.c.run_id != p("but")
    )
)
FORGET = Statement(delete(T).where(T.c.run_id == p("run_id"), T.c.address == p("address")))
PRUNE = Statement(delete(T).where(T.c.at < p("before")))


class DoneItems(Repository):
    def add(self, run_id: str, done: Sequence[tuple[str, str]]) -> None:
        for content, address in done:
            self._s.run(ADD, content=content, run_id=run_id, address=clean(address), at=self._now())

    def find(
        self, contents: Iterable[str], since: datetime, but: str
    ) -> Mapping[str, tuple[str, datetime]]:
        found: dict[str, tuple[str, datetime]] = {}
        for content in contents:
            row = self._s.one(FIND, content=content, since=micros(since), but=but)
            if row is not None:
                found[content] = row[0], instant(row[1])
        return found

    def forget(self, run_id: str, addresses: Iterable[str]) -> None:
        for address in addresses:
            self._s.run(FORGET, run_id=run_id, address=clean(address))

    def prune(self, before: datetime) -> None:
        self._s.run(PRUNE, before=micros(before))
