"""What every repository has: the session it speaks through and the transaction's time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, Table, select

from engine.journal.rows import Page
from engine.journal.statement import p

if TYPE_CHECKING:
    from engine.journal.session import Session
    from engine.journal.tx import Transaction


class Repository:
    """Base of the repositories of one transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._s: Session = tx.session

    def _now(self) -> int:
        return self._tx.now_micros()


def newest_of(core: Select[Any], table: Table, *, paged: bool) -> Select[Any]:
    """As `newest`, with parameters `before` (where `paged`) and `limit`: for statements that are kept."""
    if paged:
        before = select(table.c.seq).where(table.c.id == p("before")).scalar_subquery()
        core = core.where(table.c.seq < before)
    return core.order_by(table.c.seq.desc()).limit(p("limit"))


def newest(core: Select[Any], table: Table, page: Page) -> Select[Any]:
    """Order by what came last, and cut to the page."""
    if page.before is not None:
        before = select(table.c.seq).where(table.c.id == page.before).scalar_subquery()
        core = core.where(table.c.seq < before)
    return core.order_by(table.c.seq.desc()).limit(page.limit)
