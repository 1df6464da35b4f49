"""Runs, claims and the fence that keeps a former owner out."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from engine.domain.entry import Entry
from engine.domain.errors import StaleOwner
from engine.domain.run import RunState
from engine.journal.database import Database
from engine.journal.rows import Page
from engine.journal.store import Tx
from tests.contract.store.conftest import Place, make_run, owned


def test_a_run_is_kept_as_given(store: Database) -> None:
    run = store.write(lambda tx: make_run(tx, group="g", parent="p", incident_id="i", rule=None))
    row = store.read(lambda tx: tx.runs.get(run))
    assert row is not None
    assert (row.state, row.epoch, row.owner, row.group) == (RunState.QUEUED, 0, None, "g")
    assert (row.inputs, row.trigger, row.parent) == ({"n": 1}, {"kind": "alert"}, "p")
    assert store.read(lambda tx: tx.runs.get("run-nowhere")) is None


def test_find_takes_a_beginning_or_an_end(store: Database) -> None:
    one, two = (store.write(lambda tx, i=i: make_run(tx, id=i)) for i in ("run-aaXz", "run-abyz"))  # type: ignore[misc]

    def find(text: str) -> list[str]:
        return sorted(r.id for r in store.read(lambda tx: tx.runs.find(text)))

    assert find("run-a") == [one, two]
    assert find("run-aa") == [one]
    assert find("yz") == [two]
    assert find("z") == [one, two]
    assert find("xz") == find("%") == find("_yz") == find("") == find("\x00") == []


def test_lists_and_counts(store: Database) -> None:
    a = store.write(lambda tx: make_run(tx, incident_id="i1"))
    b = store.write(lambda tx: make_run(tx, playbook="other"))
    c = store.write(lambda tx: make_run(tx, state=RunState.WAITING))

    def ids(**kw: Any) -> list[str]:
        return [r.id for r in store.read(lambda tx: tx.runs.list(Page(), **kw))]

    assert ids() == [c, b, a]
    assert ids(states=[RunState.QUEUED]) == [b, a]
    assert ids(states=[]) == []
    assert ids(incident_id="i1") == [a]
    assert ids(playbook="other", states=[RunState.QUEUED, RunState.WAITING]) == [b]
    (older,) = store.read(lambda tx: tx.runs.list(Page(1, before=b)))
    assert older.id == a
    counts = store.read(lambda tx: tx.runs.counts())
    assert counts == {RunState.QUEUED: 2, RunState.WAITING: 1}


def test_active_in_group_are_those_that_have_not_ended(store: Database) -> None:
    run = owned(store, group="g")
    store.write(lambda tx: make_run(tx, group="h"))

    def active() -> list[str]:
        return [r.id for r in store.write(lambda tx: tx.runs.active_in_group("g"))]

    assert active() == [run.id]
    store.write(lambda tx: tx.runs.update(run.id, 1, state=RunState.FAILED, ended=True))
    assert active() == []
    store.write(lambda tx: tx.runs.update(run.id, 1, state=RunState.RUNNING))  # a person's retry
    assert active() == [run.id]
    row = store.read(lambda tx: tx.runs.get(run.id))
    assert row is not None
    assert row.ended_at is None


def test_claims_go_by_priority_then_age_and_raise_the_epoch(store: Database) -> None:
    def fill(tx: Tx) -> list[str]:
        return [make_run(tx, priority=p) for p in (5, 9, 5, 7, 1)]

    five, nine, five_later, seven, one = store.write(fill)
    claimed = store.write(lambda tx: tx.runs.claim("w1", 3))
    assert [row.id for row in claimed] == [nine, seven, five]
    assert all((row.epoch, row.owner) == (1, "w1") for row in claimed)
    assert [r.id for r in store.write(lambda tx: tx.runs.claim("w2", 9))] == [five_later, one]
    assert store.write(lambda tx: tx.runs.claim("w2", 9)) == []
    assert store.write(lambda tx: tx.runs.claim("w2", 0)) == []


def test_low_work_that_waited_long_goes_before_newer_work_and_never_before_a_p0(
    store: Database,
) -> None:
    """A level more for every quarter of an hour: after two hours a 1 counts as an 8, after one hour as a 5."""

    def fill(tx: Tx) -> list[str]:
        now = tx.now()
        waits = ((1, 7200), (1, 60), (3, 0), (7, 0), (7, 0), (9, 0))
        return [
            make_run(tx, priority=p, created_at=now - timedelta(seconds=waited))
            for p, waited in waits
        ]

    old, young, three, seven, other, urgent = store.write(fill)

    def claim(limit: int) -> list[str]:
        return [row.id for row in store.write(lambda tx: tx.runs.claim("w1", limit))]

    assert claim(1) == [urgent]
    assert claim(1) == [old]
    assert claim(2) == [seven, other]
    assert claim(1) == [three]
    assert claim(9) == [young]
    row = store.read(lambda tx: tx.runs.get(seven))
    assert row is not None
    assert (row.owner, row.priority) == ("w1", 7)


def test_a_run_that_gave_way_to_older_work_is_claimed_next(store: Database) -> None:
    def fill(tx: Tx) -> list[str]:
        waited = tx.now() - timedelta(hours=2)
        return [make_run(tx, priority=5), make_run(tx, priority=0, created_at=waited)]

    newer, starved = store.write(fill)
    assert [row.id for row in store.write(lambda tx: tx.runs.claim("w1", 1))] == [starved]
    held = store.read(lambda tx: tx.runs.get(newer))
    assert held is not None
    assert held.owner is None
    assert [row.id for row in store.write(lambda tx: tx.runs.claim("w2", 1))] == [newer]


def test_a_reserve_is_for_p0s_alone_and_comes_after_what_everybody_may_have(
    store: Database,
) -> None:
    def fill(tx: Tx) -> list[str]:
        return [make_run(tx, priority=p) for p in (9, 5, 9, 9, 7)]

    first, five, second, third, seven = store.write(fill)

    def claim(limit: int, p0: int) -> list[str]:
        return [row.id for row in store.write(lambda tx: tx.runs.claim("w1", limit, p0))]

    assert claim(0, 0) == []
    assert claim(0, 1) == [first]
    assert claim(1, 1) == [second, third]
    assert claim(0, 2) == [], "what is left is less urgent"
    assert claim(1, 2) == [seven]
    assert claim(2, 2) == [five]


def test_only_the_present_owner_updates_and_releases(store: Database) -> None:
    run = owned(store)
    store.write(lambda tx: tx.runs.update(run.id, 1, state=RunState.PLANNING, reason="plans"))
    row = store.read(lambda tx: tx.runs.get(run.id))
    assert row is not None
    assert (row.state, row.reason) == (RunState.PLANNING, "plans")
    for epoch in (0, 2):
        with pytest.raises(StaleOwner, match=run.id):
            store.write(lambda tx, e=epoch: tx.runs.update(run.id, e, reason="x"))  # type: ignore[misc]
        with pytest.raises(StaleOwner):
            store.write(lambda tx, e=epoch: tx.runs.release(run.id, e))  # type: ignore[misc]
    store.write(lambda tx: tx.runs.release(run.id, 1))
    # Once let go, the epoch alone is no right to write.
    with pytest.raises(StaleOwner):
        store.write(lambda tx: tx.runs.update(run.id, 1, reason="x"))
    with pytest.raises(StaleOwner):
        store.write(lambda tx: tx.journal.append(run.id, [Entry("x")], epoch=1))
    row = store.read(lambda tx: tx.runs.get(run.id))
    assert row is not None
    assert (row.reason, row.owner, row.ended_at) == ("plans", None, None)


def test_a_parked_run_is_claimed_again_only_after_a_wake(store: Database) -> None:
    run = owned(store)
    store.write(lambda tx: tx.runs.release(run.id, 1))
    assert store.write(lambda tx: tx.runs.claim("w1", 9)) == []
    store.write(lambda tx: tx.runs.wake(run.id))
    store.write(lambda tx: tx.runs.wake(run.id))
    (again,) = store.write(lambda tx: tx.runs.claim("w1", 9))
    assert again.epoch == 2
    store.write(lambda tx: tx.runs.release(run.id, 2, ready=True))
    assert len(store.write(lambda tx: tx.runs.claim("w1", 9))) == 1
    store.write(lambda tx: tx.runs.wake("run-nowhere"))


def test_a_wake_while_it_is_owned_is_not_lost(store: Database) -> None:
    run = owned(store)
    store.write(lambda tx: tx.runs.wake(run.id))
    assert store.write(lambda tx: tx.runs.claim("w2", 9)) == []
    store.write(lambda tx: tx.runs.release(run.id, 1))
    (again,) = store.write(lambda tx: tx.runs.claim("w2", 9))
    assert again.id == run.id


def test_two_nodes_never_claim_the_same_run(place: Place) -> None:
    nodes = [place.open() for _ in range(2)]
    runs = nodes[0].write(lambda tx: [make_run(tx) for _ in range(60)])
    claimed: list[str] = []

    def drain(n: int) -> None:
        worker = f"w{n}"
        while rows := nodes[n % 2].write(lambda tx: tx.runs.claim(worker, 4)):
            claimed.extend(row.id for row in rows)

    threads = [threading.Thread(target=drain, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(claimed) == sorted(runs)


def test_a_run_is_made_more_urgent_never_less_and_not_after_its_end(store: Database) -> None:
    first = store.write(lambda tx: make_run(tx, priority=7))
    second = store.write(lambda tx: make_run(tx, priority=5))
    assert store.write(lambda tx: tx.runs.hurry(second, 9))
    assert not store.write(lambda tx: tx.runs.hurry(second, 9))
    assert not store.write(lambda tx: tx.runs.hurry(first, 1))
    rows = [store.write(lambda tx: tx.runs.claim("w1", 1))[0] for _ in range(2)]
    assert [(row.id, row.priority) for row in rows] == [(second, 9), (first, 7)]
    store.write(lambda tx: tx.runs.end(first, 1, RunState.SUCCEEDED, ""))
    assert not store.write(lambda tx: tx.runs.hurry(first, 9))
