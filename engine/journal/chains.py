"""The append-only journal: entries chained by hash, written only by a run's present owner.

hash = SHA-256(previous hash, JSON [chain, n, at, kind], newline, body as stored). The first entry's
previous hash is 32 zero bytes. The head (last number and hash) is kept in a table of its own, so that a
removed tail or a removed chain is found (`engine.journal.audit`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import exists, select, update

from engine.domain.entry import Entry, StoredEntry
from engine.journal import tables
from engine.journal.codec import dumps, instant, loads
from engine.journal.repository import Repository, Unit
from engine.journal.runs import stale
from engine.journal.session import Raced
from engine.journal.statement import Statement, insert, insert_new, p

C = tables.chains
E = tables.entries
R = tables.runs

GENESIS = bytes(32)

HEAD = Statement(select(C.c.n, C.c.hash).where(C.c.chain == p("chain")).with_for_update())
# Locks the run, so that nobody takes it over between this look and the commit.
OWNED_HEAD = Statement(
    select(R.c.epoch, R.c.owner, C.c.n, C.c.hash)
    .select_from(R.outerjoin(C, C.c.chain == R.c.id))
    .where(R.c.id == p("chain"))
    .with_for_update(of=R, key_share=True)
)
FIRST = Statement(insert_new(C, "chain"))
MOVE_HEAD = Statement(
    update(C)
    .where(C.c.chain == p("chain"), C.c.n == p("old"))
    .values(n=p("new"), hash=p("new_hash"))
)
# For a head that is remembered and not read: it, and the owner, are conditions of the write itself.
_REMEMBERED = (C.c.chain == p("chain")) & (C.c.n == p("old")) & (C.c.hash == p("old_hash"))
MOVE_REMEMBERED = Statement(update(C).where(_REMEMBERED).values(n=p("new"), hash=p("new_hash")))
MOVE_OWNED = Statement(
    update(C)
    .where(
        _REMEMBERED,
        exists().where(R.c.id == p("chain"), R.c.epoch == p("epoch"), R.c.owner.is_not(None)),
    )
    .values(n=p("new"), hash=p("new_hash"))
)
BEGIN_CHAIN = Statement(insert(C))
REMEMBERED = 4096  # heads: of the runs and incidents of the last seconds
ADD = Statement(insert(E))
_COLUMNS = (E.c.chain, E.c.n, E.c.at, E.c.kind, E.c.body, E.c.hash)
READ = Statement(
    select(*_COLUMNS).where(E.c.chain == p("chain"), E.c.n > p("after")).order_by(E.c.n)
)
READ_SOME = Statement(
    select(*_COLUMNS)
    .where(E.c.chain == p("chain"), E.c.n > p("after"))
    .order_by(E.c.n)
    .limit(p("limit"))
)
HEADS = Statement(select(C.c.chain, C.c.n, C.c.hash))


def link(previous: bytes, chain: str, n: int, at: int, kind: str, body: str) -> bytes:
    """Return the hash of an entry."""
    header = orjson.dumps([chain, n, at, kind])
    return hashlib.sha256(b"%b%b\n%b" % (previous, header, body.encode())).digest()


class Journal(Repository):
    """The chains over one connection.

    Where the writer is alone (SQLite), the heads that it wrote last are remembered: a head is then moved
    on the condition that it is still that one, hash and all, instead of being read first. Where it is
    not (another process wrote, a group was rolled back), it is read after all.
    """

    def __init__(self, tx: Unit) -> None:
        super().__init__(tx)
        self._heads: dict[str, tuple[int, bytes]] = {}

    def append(
        self,
        chain: str,
        entries: Sequence[Entry],
        *,
        epoch: int | None = None,
        new: bool = False,
    ) -> int:
        if not entries:
            return self._head(chain, epoch)[0]
        if new:
            n, rows = self._linked(chain, entries, 0, GENESIS)
            self._s.later(BEGIN_CHAIN, chain=chain, n=n, hash=rows[-1]["hash"], sealed=0)
        else:
            n, rows = self._moved(chain, entries, epoch)
        for row in rows:
            self._s.later(ADD, **row)
        if self._s.alone:
            self._remember(chain, n, rows[-1]["hash"])
        self._s.touch("journal")
        return n

    def _moved(
        self, chain: str, entries: Sequence[Entry], epoch: int | None
    ) -> tuple[int, list[dict[str, Any]]]:
        """Move the head of a chain, by what is remembered of it or by what is read."""
        known = self._heads.pop(chain, None)
        if known is not None:
            n, rows = self._linked(chain, entries, *known)
            to = {"new": n, "new_hash": rows[-1]["hash"]}
            at = {"chain": chain, "old": known[0], "old_hash": known[1]}
            if epoch is None:
                moved = self._s.run(MOVE_REMEMBERED, **at, **to)
            else:
                moved = self._s.run(MOVE_OWNED, **at, **to, epoch=epoch)
            if moved:
                return n, rows
        first, head = self._head(chain, epoch)
        n, rows = self._linked(chain, entries, first, head)
        if first == 0:
            moved = self._s.run(FIRST, chain=chain, n=n, hash=rows[-1]["hash"], sealed=0)
        else:
            to = {"new": n, "new_hash": rows[-1]["hash"]}
            moved = self._s.run(MOVE_HEAD, chain=chain, old=first, **to)
        if not moved:
            raise Raced(f"somebody else appended to {chain}")
        return n, rows

    def _linked(
        self, chain: str, entries: Sequence[Entry], n: int, head: bytes
    ) -> tuple[int, list[dict[str, Any]]]:
        """Return the number of the last entry and the rows that continue a chain."""
        at = self._now()
        rows: list[dict[str, Any]] = []
        for entry in entries:
            n += 1
            body = dumps(entry.body)
            head = link(head, chain, n, at, entry.kind, body)
            rows.append(
                {"chain": chain, "n": n, "at": at, "kind": entry.kind, "body": body, "hash": head}
            )
        return n, rows

    def _remember(self, chain: str, n: int, head: bytes) -> None:
        if len(self._heads) >= REMEMBERED:
            del self._heads[next(iter(self._heads))]
        self._heads[chain] = (n, head)

    def _head(self, chain: str, epoch: int | None) -> tuple[int, bytes]:
        if epoch is None:
            row = self._s.one(HEAD, chain=chain)
        else:
            owned = self._s.one(OWNED_HEAD, chain=chain)
            if owned is None or owned[0] != epoch or owned[1] is None:
                raise stale(chain, epoch)
            row = owned[2:]
        if row is None or row[0] is None:
            return 0, GENESIS
        return row[0], bytes(row[1])

    def read(
        self, chain: str, *, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredEntry]:
        if limit is None:
            rows = self._s.all(READ, chain=chain, after=after)
        else:
            rows = self._s.all(READ_SOME, chain=chain, after=after, limit=limit)
        return [
            StoredEntry(row[0], row[1], instant(row[2]), row[3], loads(row[4]), row[5].hex())
            for row in rows
        ]

    def heads(self) -> Mapping[str, tuple[int, str]]:
        return {chain: (n, head.hex()) for chain, n, head in self._s.all(HEADS)}
