"""What holds a run back: gates and votes, locks, budgets, brakes."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from engine.domain.plan import Target
from engine.journal.database import Database
from engine.journal.rows import BrakeRow, GateRow, VoteRow
from engine.journal.store import Tx
from tests.contract.store.conftest import START, Place, owned


def gate(name: str = "g1", run: str = "r1") -> GateRow:
    return GateRow(
        name, run, "plan", "sre", 2, "f" * 64, "open", START, START + timedelta(hours=1), {"a": 1}
    )


def test_a_gate_is_open_until_it_is_closed_once(store: Database) -> None:
    for row in (gate("g1"), gate("g2"), gate("g3", "r2")):
        store.write(lambda tx, row=row: tx.gates.open(row))  # type: ignore[misc]
    assert store.read(lambda tx: tx.gates.get("g1")) == gate("g1")
    assert store.read(lambda tx: tx.gates.get("g9")) is None
    assert store.write(lambda tx: tx.gates.close("g1", "approved"))
    assert not store.write(lambda tx: tx.gates.close("g1", "rejected"))
    closed = store.read(lambda tx: tx.gates.get("g1"))
    assert closed is not None
    assert closed.state == "approved"
    assert closed.closed_at is not None
    assert [g.id for g in store.read(lambda tx: tx.gates.list())] == ["g2", "g3"]
    assert len(store.read(lambda tx: tx.gates.list(open_only=False))) == 3
    assert [g.id for g in store.read(lambda tx: tx.gates.of_run("r1"))] == ["g1", "g2"]


def test_everybody_has_one_vote_and_may_take_it_back(store: Database) -> None:
    store.write(lambda tx: tx.gates.open(gate()))

    def vote(actor: str, decision: str, second: int) -> None:
        at = START + timedelta(seconds=second)
        row = VoteRow("g1", actor, "cli", decision, "because", at)
        store.write(lambda tx: tx.gates.vote(row))

    vote("alice", "approve", 1)
    vote("bob", "approve", 2)
    vote("alice", "reject", 3)
    votes = store.read(lambda tx: tx.gates.votes("g1"))
    assert [(v.actor, v.decision) for v in votes] == [("bob", "approve"), ("alice", "reject")]
    assert votes[0] == VoteRow("g1", "bob", "cli", "approve", "because", START + timedelta(0, 2))
    assert store.write(lambda tx: tx.gates.withdraw("g1", "bob"))
    assert not store.write(lambda tx: tx.gates.withdraw("g1", "bob"))
    assert [v.actor for v in store.read(lambda tx: tx.gates.votes("g1"))] == ["alice"]


A, B, C = (Target("cluster", path) for path in "abc")


def test_locks_are_taken_all_or_none(store: Database) -> None:
    def acquire(run: str, *targets: Target) -> Any:
        return store.write(lambda tx: tx.locks.acquire(run, targets))

    assert acquire("r1", B, A, A) == {}
    assert acquire("r1", A) == {}  # its own already
    assert acquire("r2", C, A, B) == {A: "r1", B: "r1"}
    assert store.read(lambda tx: tx.locks.held()) == {A: "r1", B: "r1"}
    assert acquire("r3", C) == {}
    assert acquire("r4") == {}
    assert store.write(lambda tx: tx.locks.release("r1")) == []
    assert store.read(lambda tx: tx.locks.held()) == {C: "r3"}


def test_a_release_wakes_those_who_wait_for_it(store: Database) -> None:
    holder, one, two, three = (owned(store).id for _ in range(4))
    store.write(lambda tx: tx.locks.acquire(holder, [A, B]))
    store.write(lambda tx: tx.locks.acquire(three, [C]))

    def wait(run: str, *targets: Target) -> None:
        def work(tx: Tx) -> None:
            assert tx.locks.acquire(run, targets)
            tx.locks.wait(run, targets)
            tx.runs.release(run, 1)

        store.write(work)

    wait(one, A)
    wait(two, C)
    assert store.write(lambda tx: tx.runs.claim("w1", 9)) == []
    assert store.write(lambda tx: tx.locks.release(holder)) == [one]
    assert [row.id for row in store.write(lambda tx: tx.runs.claim("w1", 9))] == [one]
    assert store.write(lambda tx: tx.locks.release(holder)) == []
    assert store.write(lambda tx: tx.locks.release(three)) == [two]


def test_who_waits_for_something_free_is_woken_at_once(store: Database) -> None:
    run = owned(store).id
    store.write(lambda tx: tx.locks.wait(run, [A]))
    store.write(lambda tx: tx.runs.release(run, 1))
    assert [row.id for row in store.write(lambda tx: tx.runs.claim("w1", 9))] == [run]


def test_runs_that_would_wait_in_a_circle_are_found(store: Database) -> None:
    def hold(run: str, *targets: Target) -> None:
        assert store.write(lambda tx: tx.locks.acquire(run, targets)) == {}

    def circle(run: str, *targets: Target) -> list[str]:
        return list(store.write(lambda tx: tx.locks.circle(run, targets)))

    hold("r1", A)
    hold("r2", B)
    hold("r3", C)
    assert circle("r1", B) == []
    store.write(lambda tx: tx.locks.wait("r1", [B]))
    assert circle("r2", C) == []
    assert circle("r2", A) == ["r2", "r1"]
    store.write(lambda tx: tx.locks.wait("r2", [C]))
    assert circle("r3", A) == ["r3", "r1", "r2"]
    assert circle("r4", A, C) == []  # it holds nothing that anybody waits for
    store.write(lambda tx: tx.locks.stop_waiting("r2"))
    assert circle("r3", A) == []


def test_of_two_nodes_that_close_a_circle_at_once_one_sees_it(place: Place) -> None:
    nodes = [place.open(), place.open()]
    for n, target in enumerate((A, B)):
        nodes[0].write(lambda tx, n=n, t=target: tx.locks.acquire(f"r{n}", [t]))  # type: ignore[misc]
    seen: dict[int, list[str]] = {}
    barrier = threading.Barrier(2)

    def wait(n: int, target: Target) -> None:
        def work(tx: Tx) -> list[str]:
            found = list(tx.locks.circle(f"r{n}", [target]))
            tx.locks.wait(f"r{n}", [target])
            return found

        barrier.wait()
        seen[n] = nodes[n].write(work)

    threads = [threading.Thread(target=wait, args=each) for each in ((0, B), (1, A))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, seen.values())) == [0, 2]


def test_of_two_nodes_that_want_the_same_locks_one_has_all(place: Place) -> None:
    nodes = [place.open(), place.open()]
    answers: dict[str, int] = {}
    barrier = threading.Barrier(2)

    def take(n: int) -> None:
        barrier.wait()
        for turn in range(10):
            targets = [Target("cluster", f"{turn}/{part}") for part in range(4)]
            if n:
                targets.reverse()
            found = nodes[n].write(lambda tx, t=targets: tx.locks.acquire(f"r{n}", t))  # type: ignore[misc]
            if not found:
                answers[f"{turn} {n}"] = turn

    threads = [threading.Thread(target=take, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers.values()) == list(range(10))
    assert len(nodes[0].read(lambda tx: tx.locks.held())) == 40


def reserve(store: Database, key: str, amount: int, **given: object) -> int:
    options = {"limit": 10, "window": 60.0, **given}
    return store.write(
        lambda tx: tx.budgets.reserve("all", "pods", amount, run_id="r1", key=key, **options)  # type: ignore[arg-type]
    )


def test_a_budget_is_reserved_once_a_key_and_slides(place: Place, store: Database) -> None:
    assert reserve(store, "k1", 6) == 0
    assert reserve(store, "k1", 6) == 0
    assert reserve(store, "k2", 7) == 3
    assert reserve(store, "k3", 4) == 0
    assert store.read(lambda tx: tx.budgets.used("all", "pods", window=60.0)) == 10
    assert store.read(lambda tx: tx.budgets.used("all", "rows", window=60.0)) == 0
    place.advance(61)
    assert store.read(lambda tx: tx.budgets.used("all", "pods", window=60.0)) == 0
    assert store.read(lambda tx: tx.budgets.used("all", "pods", window=None)) == 10
    assert reserve(store, "k4", 1, window=None) == 1
    assert reserve(store, "k5", 10) == 0


def test_a_receipt_settles_what_was_reserved(store: Database) -> None:
    reserve(store, "k1", 6)
    store.write(lambda tx: tx.budgets.settle("k1", "all", "pods", 2))
    assert store.read(lambda tx: tx.budgets.used("all", "pods", window=60.0)) == 2
    store.write(lambda tx: tx.budgets.settle("k1", "all", "pods", 0))
    assert reserve(store, "k2", 10) == 0
    assert reserve(store, "k1", 5) == 0  # the key was counted once and stays settled
    assert store.read(lambda tx: tx.budgets.used("all", "pods", window=60.0)) == 10


def test_two_nodes_never_reserve_more_than_the_limit(place: Place) -> None:
    nodes = [place.open(), place.open()]
    granted: list[int] = []

    def spend(n: int) -> None:
        granted.extend(reserve(nodes[n], f"k{n}-{i}", 1) for i in range(15))

    threads = [threading.Thread(target=spend, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert granted.count(0) == 10
    assert nodes[0].read(lambda tx: tx.budgets.used("all", "pods", window=60.0)) == 10


@pytest.mark.parametrize("engaged", [True, False])
def test_brakes_are_set_and_seen(store: Database, engaged: bool) -> None:
    row = BrakeRow("kill", engaged, "alice", "look \u2665", START, {"n": 1})
    assert store.read(lambda tx: tx.brakes.get("kill")) is None
    store.write(lambda tx: tx.brakes.set(BrakeRow("kill", not engaged, "bob", "", START)))
    store.write(lambda tx: tx.brakes.set(row))
    store.write(lambda tx: tx.brakes.set(BrakeRow("breaker:p", True, "bob", "", START)))
    assert store.read(lambda tx: tx.brakes.get("kill")) == row
    assert [b.name for b in store.read(lambda tx: tx.brakes.list())] == ["breaker:p", "kill"]
