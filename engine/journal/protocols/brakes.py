"""What holds runs and people back: locks, budgets, brakes, tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from engine.domain.canonical import JsonObject
from engine.domain.plan import Target
from engine.journal.rows import BrakeRow


class Locks(Protocol):
    def acquire(self, run_id: str, targets: Sequence[Target]) -> Mapping[Target, str]:
        """Take all in sorted order or none; return {target: holder} of the conflicts, empty when taken."""
        ...

    def release(self, run_id: str) -> Sequence[str]:
        """Let go of all; return and wake the runs that waited for one of them."""
        ...

    def wait(self, run_id: str, targets: Sequence[Target]) -> None:
        """Be woken when one of these is released."""
        ...

    def circle(self, run_id: str, targets: Sequence[Target]) -> Sequence[str]:
        """The runs that would wait for one another, `run_id` first, if it waited for these targets.

        Each waits for the next, the last for the first; empty where there is no such circle. To be asked
        in the transaction that would wait, before `wait`.
        """
        ...

    def stop_waiting(self, run_id: str) -> None:
        """Forget what the run waits for."""
        ...

    def held(self) -> Mapping[Target, str]: ...

    def holders(self, run_id: str) -> Mapping[Target, str]:
        """The targets that a run waits for, with the runs that hold them."""
        ...

    def waiting(self) -> Sequence[tuple[Target, str]]:
        """(target, run that waits for it) pairs."""
        ...


class Budgets(Protocol):
    def reserve(
        self,
        scope: str,
        unit: str,
        amount: int,
        *,
        limit: int,
        window: float | None,
        run_id: str,
        key: str,
    ) -> int:
        """Reserve `amount` at an intent (once a key) within `window` seconds (None: for ever); return the
        amount that is missing: 0 when reserved, else nothing was."""
        ...

    def settle(self, key: str, scope: str, unit: str, amount: int) -> None:
        """Replace a reservation by what the receipt says (0 gives it back)."""
        ...

    def used(self, scope: str, unit: str, *, window: float | None) -> int: ...

    def clear(self, scope: str, unit: str) -> int:
        """Forget what is used of a budget (a person's word); return how much that was."""
        ...


class Brakes(Protocol):
    def get(self, name: str) -> BrakeRow | None: ...

    def set(self, row: BrakeRow) -> None: ...

    def list(self) -> Sequence[BrakeRow]: ...


class Tokens(Protocol):
    def add(
        self, name: str, hashed: str, roles: Sequence[str], expires_at: datetime | None
    ) -> None: ...

    def find(self, hashed: str) -> tuple[str, tuple[str, ...]] | None:
        """(owner's name, roles) of a token that has neither expired nor been revoked."""
        ...

    def revoke(self, name: str) -> int: ...

    def list(self) -> Sequence[JsonObject]: ...
