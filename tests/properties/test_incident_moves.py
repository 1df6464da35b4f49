"""Whatever people and runs do to an incident, its chain tells exactly how it came to where it is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain.errors import StanchError
from engine.domain.incident import OVER, TRANSITIONS, IncidentState
from engine.domain.people import Actor
from engine.incidents import handling, lifecycle
from engine.incidents.times import times_of
from engine.journal.rows import IncidentRow
from engine.journal.store import Store, Tx
from tests.unit.incidents.kit import fresh_database, open_sqlite

ALICE = Actor("alice", frozenset({"operator"}))


def _move(to: IncidentState) -> Callable[[Tx, str], Any]:
    def work(tx: Tx, incident: str) -> None:
        row = tx.incidents.get(incident)
        assert row is not None
        lifecycle.move(tx, row, to, "a run or an alert")

    return work


ACTS: dict[str, Callable[[Tx, str], Any]] = {
    "acknowledge": lambda tx, one: lifecycle.acknowledge(tx, one, ALICE),
    "resolve": lambda tx, one: lifecycle.resolve(tx, one, ALICE, "over"),
    "close": lambda tx, one: lifecycle.close(tx, one, ALICE),
    "reopen": lambda tx, one: lifecycle.reopen_by(tx, one, ALICE, "again"),
    "fires": lambda tx, one: lifecycle.reopen(tx, one, "an alert fires"),
    "say mitigated": lambda tx, one: handling.set_state(tx, one, "mitigated", "", ALICE),
    "worse": lambda tx, one: handling.set_severity(tx, one, "P0", "worse", ALICE),
    **{f"move to {state}": _move(state) for state in IncidentState},
}


def play(store: Store, acts: list[str]) -> None:
    row = IncidentRow(
        "inc-1", "t", "r", IncidentState.OPEN, "P1", store.read(lambda tx: tx.now()), None
    )
    store.write(lambda tx: tx.incidents.open(row))
    for act in acts:
        before = store.read(lambda tx: tx.incidents.get("inc-1"))
        try:
            store.write(lambda tx, act=act: ACTS[act](tx, "inc-1"))  # type: ignore[misc]
        except StanchError:
            # What was refused left nothing behind.
            assert store.read(lambda tx: tx.incidents.get("inc-1")) == before


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acts=st.lists(st.sampled_from(sorted(ACTS)), max_size=12))
def test_the_chain_leads_to_the_state(acts: list[str]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="stanch-moves-"))
    store = open_sqlite(fresh_database(folder))
    try:
        play(store, acts)
        found = store.read(lambda tx: tx.incidents.get("inc-1"))
        entries = store.read(lambda tx: tx.journal.read("inc-1"))
    finally:
        store.close()
        shutil.rmtree(folder)
    assert found is not None
    state = IncidentState.OPEN
    for entry in entries:
        if entry.kind == "incident.state":
            assert entry.body["from"] == state.value
            to = IncidentState(entry.body["to"])
            assert to in TRANSITIONS[state]
            state = to
    assert found.state is state
    # `resolved_at` is there only while it is over, and the times agree.
    if found.state not in OVER:
        assert found.resolved_at is None
    times = times_of(found.opened_at, [], entries)
    assert (times.recovered is not None) is (found.state in OVER)
    for span in times.as_json()["seconds"].values():
        assert span is None or span >= 0
