"""`stanch audit verify`: finds a changed, missing, reordered or removed entry, run or seal.

Everything is read in one snapshot, chains and entries side by side in one order, so that memory does not
grow with the entries (only with the number of sealed chains).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, tuple_

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.journal import tables
from engine.journal.chains import GENESIS, link
from engine.journal.codec import instant
from engine.journal.database import Database
from engine.journal.keys import KeyRing
from engine.journal.seals import FIRST, message
from engine.journal.session import Row, Session
from engine.journal.statement import ONE, Statement, p
from engine.journal.store import Tx
from engine.journal.tx import Transaction

C = tables.chains
E = tables.entries
R = tables.runs
S = tables.seals

PAGE = 2000

CHAINS = Statement(
    select(C.c.chain, C.c.n, C.c.hash, C.c.sealed)
    .where(C.c.chain > p("after"))
    .order_by(C.c.chain)
    .limit(p("limit"))
)
ENTRIES = Statement(
    select(E.c.chain, E.c.n, E.c.at, E.c.kind, E.c.body, E.c.hash)
    .where(tuple_(E.c.chain, E.c.n) > tuple_(p("chain"), p("n")))
    .order_by(E.c.chain, E.c.n)
    .limit(p("limit"))
)
SEALS = Statement(
    select(S.c.n, S.c.at, S.c.key_id, S.c.heads, S.c.mac)
    .where(S.c.n > p("after"))
    .order_by(S.c.n)
    .limit(p("limit"))
)
HASH = Statement(select(E.c.hash).where(E.c.chain == p("chain"), E.c.n == p("n")))
WITHOUT_CHAIN = Statement(
    select(R.c.id)
    .select_from(R.outerjoin(C, C.c.chain == R.c.id))
    .where(C.c.chain.is_(None))
    .order_by(R.c.seq)
)
WITHOUT_RUN = Statement(
    select(E.c.chain)
    .select_from(E.outerjoin(R, R.c.id == E.c.chain))
    .where(E.c.n == ONE, E.c.kind == p("kind"), R.c.id.is_(None))
    .order_by(E.c.chain)
)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was written. `n` is 0 where it concerns a whole chain."""

    chain: str
    n: int
    problem: str

    def __str__(self) -> str:
        where = f"{self.chain} entry {self.n}" if self.n else self.chain
        return f"{where}: {self.problem}"


@dataclass
class AuditReport:
    """What was verified and what was found.

    Attributes:
        unsealed: chains with entries that no seal covers yet.
        last_seal: the last seal's mark (`number:signature`), to be kept elsewhere; "" without seals.
    """

    chains: int = 0
    entries: int = 0
    seals: int = 0
    unsealed: int = 0
    last_seal: str = ""
    last_sealed_at: str | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings

    def as_json(self) -> JsonObject:
        return {
            "ok": self.ok,
            "chains": self.chains,
            "entries": self.entries,
            "seals": self.seals,
            "unsealed": self.unsealed,
            "last_seal": self.last_seal,
            "last_sealed_at": self.last_sealed_at,
            "findings": [str(each) for each in self.findings],
        }


def verify(
    store: Database, seal_keys: KeyRing | None = None, *, expected_seal: str | None = None
) -> AuditReport:
    """Verify the whole journal.

    Args:
        seal_keys: the keys of the seals, present and former; the store's own where not given.
        expected_seal: an earlier report's `last_seal`, which must still be there.

    Raises:
        StoreUnavailable: the database cannot be read now.
    """

    def work(tx: Tx) -> AuditReport:
        assert isinstance(tx, Transaction)
        return _Audit(tx.session, seal_keys or tx.keys.seal, expected_seal).report

    return store.read(work)


class _Audit:
    def __init__(self, session: Session, keys: KeyRing, expected: str | None) -> None:
        self._session = session
        self._keys = keys
        self.report = AuditReport()
        self._sealed: dict[str, int] = {}
        self._seals(expected)
        self._seals_are_whole = self.report.ok
        self._chains()
        self._runs()

    def _find(self, chain: str, n: int, problem: str) -> None:
        self.report.findings.append(Finding(chain, n, problem))

    # ------------------------------------------------------------ seals

    def _seals(self, expected: str | None) -> None:
        previous, wanted = FIRST, 1
        marks: set[str] = set()
        for n, at, key, heads, mac in self._pages(SEALS, ("after",), (0,), (0,)):
            while wanted < n:
                self._find(f"seal {wanted}", 0, "is missing")
                wanted += 1
                previous = b""  # nobody knows what followed it
            wanted = n + 1
            self.report.seals += 1
            if self._keys.find(key) is None:
                self._find(f"seal {n}", 0, f"was made with key {key}, which is not in keys.seal")
            elif not self._keys.verifies(key, message(n, at, previous, heads), bytes(mac)):
                if previous:
                    self._find(f"seal {n}", 0, "is forged or was changed")
            else:
                self._sealed_heads(n, heads)
            previous = bytes(mac)
            self.report.last_seal = f"{n}:{previous.hex()}"
            self.report.last_sealed_at = format_time(instant(at))
            marks.add(self.report.last_seal)
        if expected and expected not in marks:
            self._find(f"seal {expected.partition(':')[0]}", 0, "was removed or replaced")

    def _sealed_heads(self, seal: int, heads: str) -> None:
        for chain, n, head in json.loads(heads):
            self._sealed[chain] = n
            row = self._session.one(HASH, chain=chain, n=n)
            if row is None:
                self._find(chain, n, f"was sealed (seal {seal}) and has been removed")
            elif bytes(row[0]).hex() != head:
                self._find(chain, n, f"is not what was sealed (seal {seal}): it was rewritten")

    # ------------------------------------------------------------ chains

    def _chains(self) -> None:
        heads = self._pages(CHAINS, ("after",), ("",), (0,))
        entries = self._pages(ENTRIES, ("chain", "n"), ("", 0), (0, 1))
        head, entry = next(heads, None), next(entries, None)
        while head is not None or entry is not None:
            chain: str = min(each[0] for each in (head, entry) if each is not None)
            last, found, entry = self._chain(chain, entry, entries)
            self.report.chains += 1
            if head is None or head[0] != chain:
                self._find(chain, 0, f"its head was removed; {found} entries are there")
            else:
                self._head(head, last)
                head = next(heads, None)

    def _chain(
        self, chain: str, entry: Row | None, entries: Iterator[Row]
    ) -> tuple[tuple[int, bytes], int, Row | None]:
        """Verify one chain's entries; return its last (number, hash), the count, and the next entry."""
        n, previous, count = 0, GENESIS, 0
        while entry is not None and entry[0] == chain:
            _, number, at, kind, body, kept = entry
            kept = bytes(kept)
            count += 1
            if number != n + 1:
                missing = (
                    f"entry {n + 1}" if number == n + 2 else f"entries {n + 1} to {number - 1}"
                )
                self._find(chain, number, f"{missing} before it are missing")
            elif link(previous, chain, number, at, kind, body) != kept:
                self._find(chain, number, "was changed, or is not in its place")
            n, previous = number, kept
            entry = next(entries, None)
        self.report.entries += count
        return (n, previous), count, entry

    def _head(self, head: Row, last: tuple[int, bytes]) -> None:
        chain, n, kept, sealed = head
        if n > last[0]:
            lost = "all its entries" if last[0] == 0 else f"the entries {last[0] + 1} to {n}"
            self._find(chain, 0, f"{lost} were removed")
        elif n < last[0]:
            self._find(chain, 0, f"entries after {n} were added by somebody else")
        elif bytes(kept) != last[1]:
            self._find(chain, n, "the head does not agree with the last entry")
        if self._seals_are_whole and sealed != self._sealed.get(chain, 0):
            self._find(chain, 0, f"no seal covers it up to entry {sealed}, as its head says")
        if n > sealed:
            self.report.unsealed += 1

    # ------------------------------------------------------------ runs

    def _runs(self) -> None:
        for (run,) in self._session.all(WITHOUT_CHAIN):
            self._find(run, 0, "the run is there and its journal is not")
        for (chain,) in self._session.all(WITHOUT_RUN, kind="run.created"):
            self._find(chain, 0, "its run was removed")

    def _pages(
        self,
        statement: Statement,
        names: tuple[str, ...],
        start: tuple[Any, ...],
        positions: tuple[int, ...],
    ) -> Iterator[Row]:
        """Every row of a statement that goes on after the last one seen."""
        after = dict(zip(names, start, strict=True))
        while rows := self._session.all(statement, **after, limit=PAGE):
            yield from rows
            after = dict(zip(names, (rows[-1][i] for i in positions), strict=True))
