"""What every repository has: the session it speaks through and the transaction's time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Select, Table, select

from engine.journal.keys import Keys
from engine.journal.protocols.runs import Runs
from engine.journal.rows import Page
from engine.journal.session import Session
from engine.journal.statement import p


class Waking(Protocol):
    """What repositories ask of the one that holds the runs, beyond what everybody may."""

    def wake_all(self, run_ids: Iterable[str]) -> None: ...


class Owning(Protocol):
    """What repositories ask of the one that holds the workers, beyond what everybody may."""

    def may_own(self, worker: str) -> bool: ...


class Unit(Protocol):
    """The transaction, as far as its repositories know it: its session, its time, and one another."""

    session: Session
    keys: Keys

    @property
    def runs(self) -> Runs: ...

    @property
    def run_rows(self) -> Waking: ...

    @property
    def worker_rows(self) -> Owning: ...

    def now(self) -> datetime: ...

    def now_micros(self) -> int: ...

    def contains(self, column: ColumnElement[str], part: str) -> ColumnElement[bool]: ...


class Repository:
    """Base of the repositories of one transaction."""

    def __init__(self, tx: Unit) -> None:
        self._tx = tx
        self._s = tx.session

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
