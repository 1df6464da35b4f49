"""Gates, pages and lent roles on every store; two nodes that vote at once count each person once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from engine.domain.entry import Entry
from engine.domain.ids import new_id
from engine.domain.people import Actor
from engine.journal.database import Database
from engine.journal.rows import DelegationRow, GateRow, VoteRow
from engine.journal.store import Tx
from engine.running.commands import Commands
from tests.contract.store.conftest import Place, make_run

ANN = Actor("ann", frozenset({"sre"}))
BEN = Actor("ben", frozenset({"sre"}))
FINGERPRINT = "f" * 64


def open_gate(store: Database, approvals: int = 2) -> str:
    def work(tx: Tx) -> str:
        run = make_run(tx)
        gate = new_id("gate")
        row = GateRow(gate, run, "plan", "sre", approvals, FINGERPRINT, "open", tx.now(), None, {})
        tx.gates.open(row)
        body = {"gate": gate, "address": "plan", "role": "sre", "approvals": approvals}
        tx.journal.append(run, [Entry("gate.opened", {**body, "fingerprint": FINGERPRINT})])
        return gate

    return store.write(work)


def votes_at(gate: str) -> Callable[[Tx], Sequence[VoteRow]]:
    return lambda tx: tx.gates.votes(gate)


@pytest.mark.parametrize("people", [(ANN, ANN), (ANN, BEN)], ids=["one", "two"])
def test_two_nodes_that_vote_at_once_count_each_person_once(
    place: Place, people: tuple[Actor, Actor]
) -> None:
    nodes = [place.open(), place.open()]
    for _ in range(5):
        gate = open_gate(nodes[0])
        start = threading.Barrier(2)
        answers: list[bool] = []

        def vote(
            node: Database,
            who: Actor,
            gate: str = gate,
            start: threading.Barrier = start,
            answers: list[bool] = answers,
        ) -> None:
            start.wait(10)
            answers.append(Commands(node, dict).approve(gate, who, "", FINGERPRINT)["quorum"])

        threads = [
            threading.Thread(target=vote, args=pair) for pair in zip(nodes, people, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        votes = nodes[1].read(votes_at(gate))
        assert len(votes) == len(set(people))
        assert sorted(answers) == ([False, True] if people[0] != people[1] else [False, False])


def test_a_closed_gate_keeps_who_closed_it_and_why(store: Database) -> None:
    gate = open_gate(store)
    assert store.write(lambda tx: tx.gates.close(gate, "rejected", by="ann", why="no"))
    assert not store.write(lambda tx: tx.gates.close(gate, "approved", by="ben", why="yes"))
    row = store.read(lambda tx: tx.gates.get(gate))
    assert row is not None
    assert (row.state, row.closed_by, row.closed_why) == ("rejected", "ann", "no")


def test_a_page_is_told_by_one_node_at_a_time_and_again_until_it_is_seen(place: Place) -> None:
    one, two = place.open(), place.open()
    page = one.write(lambda tx: tx.pages.open("run:r", "look", "critical", run_id="r"))
    assert two.write(lambda tx: tx.pages.open("run:r", "again", "critical")) == page
    taken = [
        node.write(lambda tx: len(tx.pages.take_due(10, {"critical": 60.0}))) for node in (one, two)
    ]
    assert taken == [1, 0]
    place.advance(61)
    (row,) = two.write(lambda tx: tx.pages.take_due(10, {"critical": 60.0}))
    assert (row.id, row.told, row.reason) == (page, 1, "look")
    assert one.write(lambda tx: tx.pages.acknowledge(page, "ann", "on it"))
    assert not two.write(lambda tx: tx.pages.acknowledge(page, "ben"))
    place.advance(61)
    assert one.write(lambda tx: tx.pages.take_due(10, {})) == []
    assert one.read(lambda tx: tx.pages.next()) is None
    assert one.write(lambda tx: tx.pages.open("run:r", "new", "warning")) != page


def test_a_lent_role_ends_with_its_time_or_when_it_is_taken_back(place: Place) -> None:
    store = place.open()

    def lend(tx: Tx) -> str:
        now = tx.now()
        row = DelegationRow(new_id("lent"), "sre", "ann", "ben", "", now, now + timedelta(hours=1))
        tx.delegations.add(row)
        return row.id

    first, second = store.write(lend), store.write(lend)
    assert len(store.read(lambda tx: tx.delegations.of("ben"))) == 2
    assert store.read(lambda tx: tx.delegations.of("ann")) == []
    assert store.write(lambda tx: tx.delegations.revoke(first, "ann"))
    assert not store.write(lambda tx: tx.delegations.revoke(first, "ann"))
    assert [row.id for row in store.read(lambda tx: tx.delegations.of("ben"))] == [second]
    place.advance(3601)
    assert store.read(lambda tx: tx.delegations.of("ben")) == []
    assert len(store.read(lambda tx: tx.delegations.list())) == 2


def test_a_budget_is_forgotten_on_a_persons_word(store: Database) -> None:
    def reserve(tx: Tx) -> int:
        return tx.budgets.reserve(
            "global", "pods", 3, limit=3, window=60.0, run_id="r", key=new_id("k")
        )

    assert store.write(reserve) == 0
    assert store.write(reserve) == 3
    assert store.write(lambda tx: tx.budgets.clear("global", "pods")) == 3
    assert store.write(reserve) == 0
