"""Seals: now and then every chain's head is signed with a key that is not in the database.

A hash chain finds a change inside a chain. Who can write the database can also cut off its tail together
with the head, or take a whole run out; against that a seal remembers (chain, number, hash) of every chain
that changed since the seal before, and the seals are chained to one another. So a seal costs what changed,
not what there is. What was written since the last seal is protected by the chains alone; keep the last
seal's mark (`AuditReport.last_seal`) elsewhere, and the removal of the last seals is found too.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import dataclass

from sqlalchemy import select, update

from engine.domain.errors import StoreUnavailable
from engine.journal import tables
from engine.journal.codec import dumps
from engine.journal.database import Database
from engine.journal.statement import ONE, Statement, insert, p
from engine.journal.store import Tx
from engine.journal.tx import Transaction

log = logging.getLogger("stanch.journal")

C = tables.chains
S = tables.seals

BATCH = 500  # chains a seal: a short turn at the writer, however much there is to seal
FIRST = bytes(32)  # what the first seal is chained to

LAST = Statement(select(S.c.n, S.c.mac).order_by(S.c.n.desc()).limit(ONE))
UNSEALED = Statement(
    select(C.c.chain, C.c.n, C.c.hash)
    .where(C.c.n > C.c.sealed)
    .order_by(C.c.chain)
    .limit(p("limit"))
)
ADD = Statement(insert(S))
COVER = Statement(update(C).where(C.c.chain == p("chain")).values(sealed=p("up_to")))


def message(n: int, at: int, previous: bytes, heads: str) -> bytes:
    """Return what a seal signs."""
    return dumps([n, at, previous.hex(), hashlib.sha256(heads.encode()).hexdigest()]).encode()


def seal(store: Database) -> int:
    """Seal every chain that changed since it was sealed last; return how many there were.

    Raises:
        StoreUnavailable: the database cannot be written now; what was not sealed is sealed next time.
    """
    total = 0
    while count := store.write(_seal_some):
        total += count
        if count < BATCH:
            break
    return total


def _seal_some(tx: Tx) -> int:
    assert isinstance(tx, Transaction)
    session = tx.session
    session.serialise("seal")
    rows = session.all(UNSEALED, limit=BATCH)
    if not rows:
        return 0
    last = session.one(LAST)
    n, previous = (1, FIRST) if last is None else (last[0] + 1, bytes(last[1]))
    heads = dumps([[chain, number, bytes(head).hex()] for chain, number, head in rows])
    at = tx.now_micros()
    key, mac = tx.keys.seal.sign(message(n, at, previous, heads))
    session.run(ADD, n=n, at=at, key_id=key, heads=heads, mac=mac)
    session.many(COVER, ({"chain": row[0], "up_to": row[1]} for row in rows))
    return len(rows)


@dataclass
class Sealer:
    """Seals a store every `every` seconds, in a thread of its own, and once more when stopped."""

    store: Database
    every: float = 60.0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="sealer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _serve(self) -> None:
        going = True
        while going:
            going = not self._stop.wait(self.every)
            try:
                seal(self.store)
            except StoreUnavailable as error:
                log.warning("the journal could not be sealed; it is tried again: %s", error)
