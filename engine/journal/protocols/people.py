"""Pages that wait to be seen, and roles that are lent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from engine.journal.rows import DelegationRow, PageRow


class Pages(Protocol):
    def open(
        self,
        subject: str,
        reason: str,
        level: str,
        *,
        run_id: str | None = None,
        incident_id: str | None = None,
    ) -> str:
        """Raise a page and return its id; one that is open on the subject already is that one."""
        ...

    def take_due(self, limit: int, repeat: Mapping[str, float]) -> Sequence[PageRow]:
        """Return the pages whose time has come, and put each off by its level's seconds.

        Two nodes never take the same page at one time. On a crash after this the page comes again when
        its time has come again: it is told late, never lost.
        """
        ...

    def next(self) -> datetime | None:
        """When the next page is due; None: all are seen."""
        ...

    def get(self, page_id: str) -> PageRow | None: ...

    def list(self, *, open_only: bool = True, limit: int = 200) -> Sequence[PageRow]:
        """Open ones: what is told next comes first. All: newest first."""
        ...

    def acknowledge(self, page_id: str, by: str, note: str = "") -> bool:
        """A person has seen it; False where somebody had before."""
        ...

    def of_incident(self, incident_id: str) -> Sequence[PageRow]:
        """Every page of an incident, oldest first."""
        ...

    def louder(self, page_id: str, level: str, reason: str) -> bool:
        """Raise an open page's level, and tell it now; False where it has been seen."""
        ...

    def seen(self, run_id: str, by: str, note: str) -> int:
        """Whoever acts on a run has seen its pages; return how many were open."""
        ...


class Delegations(Protocol):
    def add(self, row: DelegationRow) -> None: ...

    def get(self, delegation_id: str) -> DelegationRow | None: ...

    def of(self, taker: str) -> Sequence[DelegationRow]:
        """What this person may act for now: neither over nor revoked."""
        ...

    def list(self, limit: int = 200) -> Sequence[DelegationRow]:
        """Newest first, those that are over included."""
        ...

    def revoke(self, delegation_id: str, by: str) -> bool:
        """End it now; False where it had ended."""
        ...
