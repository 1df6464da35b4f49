"""What driving runs asks of a transaction: runs, their journal, timers, gates, blobs, and who owns them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from engine.domain.canonical import Json
from engine.domain.entry import Entry, StoredEntry
from engine.domain.run import RunState
from engine.journal.rows import GateRow, ItemRow, MeasureRow, Page, RunRow, VoteRow


class Runs(Protocol):
    def create(self, row: RunRow) -> None:
        """Store a new run, state queued, ready to be claimed."""
        ...

    def get(self, run_id: str) -> RunRow | None: ...

    def find(self, text: str) -> Sequence[RunRow]:
        """Runs whose id begins or ends with `text` (at most 10)."""
        ...

    def list(
        self,
        page: Page,
        *,
        states: Iterable[RunState] | None = None,
        incident_id: str | None = None,
        playbook: str | None = None,
    ) -> Sequence[RunRow]: ...

    def active_in_group(self, group: str) -> Sequence[RunRow]:
        """Runs of a concurrency group that have not ended."""
        ...

    def claim(self, worker: str, limit: int, p0: int = 0) -> Sequence[RunRow]:
        """Become the owner of up to `limit` ready runs: highest priority first, then oldest; and of up to
        `p0` more that are P0. Raises the epoch of each. The only way to become an owner. A worker that was
        declared dead gets none; one that never beat gets a first lease of 5 s."""
        ...

    def update(
        self,
        run_id: str,
        epoch: int,
        *,
        state: RunState | None = None,
        reason: str | None = None,
        ended: bool = False,
    ) -> None:
        """Raises StaleOwner where (run, epoch) is not the present owner's."""
        ...

    def end(self, run_id: str, epoch: int, state: RunState, reason: str) -> None:
        """`update` to the end and `release`, in one. Raises StaleOwner."""
        ...

    def release(self, run_id: str, epoch: int, *, ready: bool = False) -> None:
        """Let go of a parked or ended run. A signal that came since (`wake`) keeps it ready."""
        ...

    def owned(self, worker: str) -> Mapping[str, int]:
        """The runs that a worker owns, each with its epoch."""
        ...

    def hurry(self, run_id: str, priority: int) -> bool:
        """Make a run that has not ended as urgent as that; False where it is so already, or has ended."""
        ...

    def wake(self, run_id: str) -> None:
        """Make a parked run ready (an approval, a cancel, a timer). Also for one that is owned now: it
        is then ready again once released."""
        ...

    def counts(self) -> Mapping[RunState, int]: ...


class Journal(Protocol):
    def append(
        self, chain: str, entries: Sequence[Entry], *, epoch: int | None = None, new: bool = False
    ) -> int:
        """Append to a chain (a run id, an incident id, `node:ID`), return the number of its last entry.

        With `epoch` the chain is a run and the write is made only by its owner. `new`: its id was made
        in this very transaction, so that there is nothing to look for.

        Raises:
            StaleOwner: another owner has the run; nothing was written.
        """
        ...

    def read(
        self, chain: str, *, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredEntry]: ...

    def heads(self) -> Mapping[str, tuple[int, str]]:
        """Every chain's last number and hash."""
        ...


class Timers(Protocol):
    def set(self, run_id: str, name: str, at: datetime) -> None:
        """One row a (run, name); setting it again moves it."""
        ...

    def clear(self, run_id: str, name: str | None = None) -> None: ...

    def fire(self) -> Sequence[str]:
        """Delete the timers that are due and make their runs ready; return the run ids."""
        ...

    def next(self) -> datetime | None: ...


class Gates(Protocol):
    def open(self, row: GateRow) -> None: ...

    def get(self, gate_id: str) -> GateRow | None: ...

    def of_run(self, run_id: str) -> Sequence[GateRow]: ...

    def list(self, *, open_only: bool = True) -> Sequence[GateRow]: ...

    def vote(self, row: VoteRow) -> None:
        """One vote an actor; a later one replaces the earlier."""
        ...

    def withdraw(self, gate_id: str, actor: str) -> bool: ...

    def votes(self, gate_id: str) -> Sequence[VoteRow]: ...

    def close(self, gate_id: str, state: str, *, by: str = "", why: str = "") -> bool:
        """Close an open gate; False where it was closed already."""
        ...


class Blobs(Protocol):
    """Frozen programs, plans and before-images: larger texts, outside the chain, by digest."""

    def put_program(self, digest: str, text: str) -> None: ...

    def program(self, digest: str) -> str | None: ...

    def put_plan(self, run_id: str, fingerprint: str, body: Json) -> None: ...

    def plan(self, run_id: str, fingerprint: str | None = None) -> Json:
        """The named plan, or the run's latest; None where there is none."""
        ...

    def put_image(self, run_id: str, key: str, image: Json) -> str:
        """Seal (encrypt) a before-image and return the digest of its plain JSON."""
        ...

    def image(self, run_id: str, key: str) -> Json:
        """The before-image, or None where there is none or it was pruned.

        Raises:
            InvalidInput: its key is missing, or it was changed in the database.
        """
        ...

    def prune_images(self, before: datetime) -> int:
        """Forget some of the images taken before this time by runs that are not under way; their digests
        stay. Return how many; asked again and again, it forgets all."""
        ...


class Workers(Protocol):
    def beat(self, worker: str, lease: float) -> bool:
        """Renew the lease for `lease` seconds from the database's now; False where it was declared dead."""
        ...

    def recover(self) -> Sequence[str]:
        """Declare workers with an expired lease dead, make their runs ready, raise the epochs; run ids."""
        ...

    def leave(self, worker: str) -> None:
        """A clean stop: as recover, for this worker, at once."""
        ...

    def alive(self) -> Sequence[str]: ...


class Measures(Protocol):
    """What was measured of runs and steps."""

    def add(self, rows: Sequence[MeasureRow]) -> None: ...

    def between(self, since: datetime, until: datetime) -> Iterator[MeasureRow]:
        """Yield what was measured from `since` to `until`, both included, oldest first; few are held."""
        ...

    def prune(self, before: datetime) -> int:
        """Forget some of what was measured before this time; return how many rows."""
        ...


class DoneItems(Protocol):
    """Items of batches that are done, or taken up by a run under way, by their content."""

    def done(self, run_id: str, content: str, address: str) -> None:
        """The run did it; `address` is the item's."""
        ...

    def find(self, contents: Iterable[str], since: datetime, but: str) -> Mapping[str, ItemRow]:
        """Which of them a run other than `but` did since then, or is at just now."""
        ...

    def take(self, contents: Sequence[str], since: datetime, run_id: str) -> Mapping[str, ItemRow]:
        """As `find`; all others are the run's from now on, until it ends or releases them."""
        ...

    def release(self, run_id: str, content: str) -> None:
        """The run took it up and did not do it."""
        ...

    def forget(self, run_id: str, addresses: Iterable[str]) -> None:
        """The run has taken back what it did there."""
        ...

    def prune(self, before: datetime) -> None: ...
