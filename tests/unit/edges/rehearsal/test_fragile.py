"""A store whose process dies at a write: what is handed in is durable or not, and who died is told nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from engine.edges.rehearsal.faults import Crash
from engine.edges.rehearsal.fragile import FragileStore, Writes
from engine.journal.database import Database, open_store
from engine.journal.keys import KeyRing, Keys
from engine.journal.store import Tx
from tests.databases import put_database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    keys = Keys(KeyRing.generate(), KeyRing.generate())
    made = open_store(f"sqlite:///{put_database(tmp_path / 'stanch.db')}", keys=keys)
    yield made
    made.close()


def hand_in(database: Database, writes: Writes) -> list[tuple[object, BaseException | None]]:
    told: list[tuple[object, BaseException | None]] = []

    def work(tx: Tx) -> str:
        tx.tokens.revoke("nobody")
        return "done"

    FragileStore(lambda: database, Path(), writes).hand_in(
        work, lambda *answer: told.append(answer)
    )
    return told


def test_what_is_handed_in_is_answered(database: Database) -> None:
    assert hand_in(database, Writes()) == [("done", None)]


@pytest.mark.parametrize("phase", ["before", "after"])
def test_it_dies_at_the_write_that_was_chosen(
    database: Database, phase: Literal["before", "after"]
) -> None:
    writes = Writes(dies_at=1, phase=phase, armed=True)
    with pytest.raises(Crash, match=f"{phase} write 1"):
        hand_in(database, writes)
    assert writes.number == 1
