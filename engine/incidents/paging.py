"""Pages until seen: due rows go to the pager, each again after its level's time, until a person acknowledges."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from types import MappingProxyType

from engine.domain.canonical import JsonObject
from engine.domain.entry import Entry
from engine.domain.errors import StoreUnavailable
from engine.incidents.ports import Pager
from engine.journal.rows import CRITICAL, EMERGENCY, WARNING, PageRow
from engine.journal.store import Store, Tx

log = logging.getLogger("stanch.pages")

REPEAT: Mapping[str, float] = MappingProxyType({WARNING: 1800.0, CRITICAL: 300.0, EMERGENCY: 60.0})
_BATCH = 50
_LOOK = 2.0  # seconds between two looks for pages that another process raised


class LogPager:
    """Tells pages to the log: what there is before anything better is configured."""

    def page(self, page: PageRow) -> None:
        again = f" (told {page.told + 1} times)" if page.told else ""
        log.warning("PAGE %s %s: %s%s", page.level, page.subject, page.reason, again)


class Paging:
    """The timer behind the pages.

    Args:
        repeat: seconds after which an unseen page is told again, by level.
    """

    def __init__(
        self,
        store: Store,
        pager: Pager,
        *,
        repeat: Mapping[str, float] = REPEAT,
        node: str = "local",
    ) -> None:
        self._store = store
        self._pager = pager
        self._repeat = dict(repeat)
        self._chain = f"node:{node}"

    def tick(self) -> int:
        """Tell what is due, here and now; return how many pages that were.

        Raises:
            StoreUnavailable: nothing was told.
        """
        if self._store.read(lambda tx: not _due(tx)):
            return 0

        def work(tx: Tx) -> list[PageRow]:
            rows = list(tx.pages.take_due(_BATCH, self._repeat))
            for row in rows:
                body: JsonObject = {"page": row.id, "subject": row.subject, "level": row.level}
                body |= {"reason": row.reason, "told": row.told + 1}
                tx.journal.append(
                    row.run_id or row.incident_id or self._chain, [Entry("page.told", body)]
                )
            return rows

        rows = self._store.write(work)
        for row in rows:
            try:
                self._pager.page(row)
            except Exception:
                log.exception("page %s could not be told; it comes again", row.id)
        return len(rows)

    def serve(self, stop: threading.Event) -> None:
        """Tell what becomes due until `stop` is set."""
        while not stop.wait(_LOOK):
            try:
                while self.tick() == _BATCH:
                    pass
            except StoreUnavailable as error:
                log.warning("the journal is away: %s", error)


def _due(tx: Tx) -> bool:
    following = tx.pages.next()
    return following is not None and following <= tx.now()
