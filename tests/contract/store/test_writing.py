"""Units of work: durable or not there, alone in their failure, told to those who listen."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from engine.domain.clock import ManualClock
from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput, StaleOwner, StanchError, StoreUnavailable
from engine.journal.database import Database, open_store
from engine.journal.rows import BrakeRow, DecisionRow, Page
from engine.journal.store import Tx
from tests.contract.store.conftest import KEYS, START, Place, alert, delivery, owned


def note(tx: Tx, chain: str = "node:a") -> int:
    return tx.journal.append(chain, [Entry("note", {"chain": chain})])


def hold(store: Database) -> Callable[[], None]:
    """Keep the writer busy, so that what is submitted meanwhile becomes one group."""
    entered, free = threading.Event(), threading.Event()

    def work(tx: Tx) -> None:
        entered.set()
        free.wait(10)

    store.submit(work)
    assert entered.wait(10)
    return free.set


def test_a_work_that_raises_leaves_nothing_and_harms_nobody_in_its_group(
    place: Place, store: Database
) -> None:
    zombie = owned(store)
    place.advance(6)
    store.write(lambda tx: tx.workers.recover())

    def wrong(tx: Tx) -> None:
        note(tx, "node:wrong")
        raise KeyError("mine")

    def late(tx: Tx) -> None:
        note(tx, "node:late")
        tx.journal.append(zombie.id, [Entry("late")], epoch=1)

    go = hold(store)
    futures = [store.submit(work) for work in (note, wrong, note, late, note)]
    go()
    assert [futures[n].result(10) for n in (0, 2, 4)] == [1, 2, 3]
    with pytest.raises(KeyError, match="mine"):
        futures[1].result(10)
    with pytest.raises(StaleOwner):
        futures[3].result(10)
    assert set(store.read(lambda tx: tx.journal.heads())) == {"node:a", zombie.id}


def test_a_wrong_statement_fails_alone_too(store: Database) -> None:
    def twice(tx: Tx) -> None:
        tx.tokens.add("alice", "same", [], None)
        tx.tokens.add("bob", "same", [], None)

    go = hold(store)
    futures = [store.submit(work) for work in (note, twice, note)]
    go()
    assert (futures[0].result(10), futures[2].result(10)) == (1, 2)
    with pytest.raises(Exception, match=r"(?i)unique"):
        futures[1].result(10)
    assert store.read(lambda tx: tx.tokens.list()) == []


def test_a_row_that_was_put_off_and_is_refused_fails_its_own_work_alone(store: Database) -> None:
    """Inserts of a group go in together at its end; which work a bad one came from is found all the same."""

    def decide(name: str) -> Callable[[Tx], str]:
        def work(tx: Tx) -> str:
            tx.decisions.add(DecisionRow(name, None, "etl", "run", "r", START))
            note(tx)
            return name

        return work

    go = hold(store)
    futures = [store.submit(work) for work in (decide("d1"), decide("d2"), decide("d1"), note)]
    go()
    assert (futures[0].result(10), futures[1].result(10)) == ("d1", "d2")
    assert futures[3].result(10) == 3
    with pytest.raises(Exception, match=r"(?i)unique"):
        futures[2].result(10)
    decided = store.read(lambda tx: tx.decisions.list(Page(), rule="etl"))
    assert [row.id for row in decided] == ["d2", "d1"]


def test_what_was_put_off_is_seen_by_what_reads_it_in_the_same_work(store: Database) -> None:
    def work(tx: Tx) -> tuple[list[str], int]:
        tx.decisions.add(DecisionRow("d1", None, "etl", "run", "r", START))
        note(tx)
        note(tx)
        listed = [row.id for row in tx.decisions.list(Page(), rule="etl")]
        return listed, len(tx.journal.read("node:a"))

    assert store.write(work) == (["d1"], 2)


def test_a_handed_in_work_is_told_of_its_end(store: Database) -> None:
    told: list[tuple[object, BaseException | None]] = []
    done = threading.Event()

    def tell(result: object, error: BaseException | None) -> None:
        told.append((result, error))
        if len(told) == 3:
            done.set()

    def wrong(tx: Tx) -> int:
        note(tx)
        raise KeyError("mine")

    for work in (note, wrong, note):
        store.hand_in(work, tell)
    assert done.wait(10)
    assert [result for result, _ in told] == [1, None, 2]
    assert [type(error) for _, error in told] == [type(None), KeyError, type(None)]


def test_works_of_many_threads_all_count_once(store: Database) -> None:
    def work() -> None:
        for _ in range(25):
            store.write(note)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    numbers = [entry.n for entry in store.read(lambda tx: tx.journal.read("node:a"))]
    assert numbers == list(range(1, 101))


def test_two_nodes_append_to_one_chain_without_a_gap(place: Place) -> None:
    nodes = [place.open(), place.open()]
    threads = [
        threading.Thread(target=lambda n=n: [nodes[n].write(note) for _ in range(30)])
        for n in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(nodes[0].read(lambda tx: tx.journal.read("node:a"))) == 60


def test_of_two_nodes_that_take_the_same_alert_one_sees_it_as_new(place: Place) -> None:
    nodes = [place.open(), place.open()]
    answers: list[bool] = []

    def accept(n: int) -> None:
        for i in range(20):
            given = delivery(alert(f"f{i}"))
            ((_, new),) = nodes[n].write(lambda tx, g=given: tx.alerts.accept(g))  # type: ignore[misc]
            answers.append(new)

    threads = [threading.Thread(target=accept, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (answers.count(True), len(answers)) == (20, 40)


def test_of_two_nodes_that_open_an_episode_one_does_and_the_other_joins(place: Place) -> None:
    nodes = [place.open(), place.open()]
    answers: list[str] = []
    barrier = threading.Barrier(2)

    def decide(n: int) -> None:
        for i in range(10):

            def work(tx: Tx, key: str = str(i)) -> str:
                found = tx.episodes.find_open("etl", key)
                if found is None:
                    time.sleep(0.005)
                    found = tx.episodes.open("etl", key, run_id=f"r{n}", incident_id=None)
                return f"{key} {found.id}"

            barrier.wait(10)
            answers.append(nodes[n].write(work))

    threads = [threading.Thread(target=decide, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 20
    assert len(set(answers)) == 10


def test_nodes_that_meet_in_a_deadlock_both_get_through(place: Place) -> None:
    nodes = [place.open(), place.open()]
    nodes[0].write(lambda tx: [note(tx, "node:a"), note(tx, "node:b")])
    failed: list[BaseException] = []

    def cross(n: int) -> None:
        chains = ["node:a", "node:b"]
        if n:
            chains.reverse()

        def work(tx: Tx) -> None:
            note(tx, chains[0])
            time.sleep(0.05)
            note(tx, chains[1])

        try:
            for _ in range(2):
                nodes[n].write(work)
        except StanchError as error:
            failed.append(error)

    threads = [threading.Thread(target=cross, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert {n for n, _ in nodes[0].read(lambda tx: tx.journal.heads()).values()} == {5}


def test_a_read_sees_one_moment(place: Place, store: Database) -> None:
    other = place.open()
    store.write(note)

    def work(tx: Tx) -> tuple[int, int]:
        before = len(tx.journal.read("node:a"))
        other.write(note)
        return before, len(tx.journal.read("node:a"))

    assert store.read(work) == (1, 1)
    assert len(store.read(lambda tx: tx.journal.read("node:a"))) == 2


def test_a_read_cannot_write(store: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)read-?only"):
        store.read(note)
    assert store.write(note) == 1


def test_who_listens_is_told_here_and_elsewhere(place: Place) -> None:
    here, there = place.open(), place.open()
    told = {name: threading.Event() for name in ("here", "there")}

    def wake(name: str) -> Callable[[str], None]:
        return lambda topic: told[name].set() if topic == "alerts" else None

    stops = [here.listen(wake("here")), there.listen(wake("there"))]
    time.sleep(0.3)
    for event in told.values():
        event.clear()
    here.write(lambda tx: tx.alerts.accept(delivery(alert())))
    assert told["here"].is_set() or told["here"].wait(1)
    assert told["there"].wait(2)
    for stop in stops:
        stop()


def test_a_listener_that_fails_disturbs_nobody(
    store: Database, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def bad(topic: str) -> None:
        raise KeyError(topic)

    store.listen(bad)
    store.listen(told.append)
    store.write(note)
    store.write(note)
    assert "journal" in told
    assert "a listener of the journal failed" in caplog.text


def test_the_time_is_the_databases_moved_by_the_offset(place: Place, store: Database) -> None:
    now = store.read(lambda tx: tx.now())
    assert abs(datetime.now(UTC) - now) < timedelta(seconds=10)
    place.advance(3600)
    for moved in (store.read(lambda tx: tx.now()), store.write(lambda tx: tx.now())):
        assert timedelta(seconds=3600) <= moved - now < timedelta(seconds=3660)
    store.write(lambda tx: (tx.now() == tx.now()) or pytest.fail("time moved within a work"))


def test_a_rehearsals_clock_is_the_time(place: Place) -> None:
    clock = ManualClock(START)
    store = place.open(clock=clock, offset=None)
    store.write(note)
    clock.advance(90)
    store.write(note)
    times = [entry.at for entry in store.read(lambda tx: tx.journal.read("node:a"))]
    assert times == [START, START + timedelta(seconds=90)]


def test_order_does_not_rest_on_the_wall_clock(place: Place, store: Database) -> None:
    from engine.journal.rows import Page

    for name in "abc":
        store.write(lambda tx, n=name: tx.alerts.accept(delivery(alert(n))))  # type: ignore[misc]
        store.write(note)
        place.advance(-3600)
    rows = store.read(lambda tx: tx.alerts.list(Page()))
    assert [row.alert.fingerprint for row in rows] == ["c", "b", "a"]
    undecided = store.read(lambda tx: tx.alerts.undecided(9))
    assert [row.alert.fingerprint for row in undecided] == ["a", "b", "c"]
    assert [e.n for e in store.read(lambda tx: tx.journal.read("node:a"))] == [1, 2, 3]


def test_close_finishes_what_is_queued_and_refuses_what_comes_later(place: Place) -> None:
    store = place.open()
    go = hold(store)
    futures = [store.submit(note) for _ in range(5)]
    closing = threading.Thread(target=store.close)
    closing.start()
    go()
    closing.join(10)
    assert [future.result(0) for future in futures] == [1, 2, 3, 4, 5]
    for use in (store.write, store.read):
        with pytest.raises(StoreUnavailable, match="closed"):
            use(note)
    store.close()
    assert len(place.open().read(lambda tx: tx.journal.read("node:a"))) == 5


def test_a_work_that_writes_to_its_own_store_is_told_so_instead_of_hanging(
    store: Database,
) -> None:
    with pytest.raises(RuntimeError, match="with the transaction it was given"):
        store.write(lambda tx: store.write(note))
    assert store.write(note) == 1


def test_commits_are_counted_and_shown_to_the_fault_hook(place: Place) -> None:
    seen: list[tuple[int, str]] = []
    store = place.open(on_commit=lambda n, phase: seen.append((n, phase)))
    store.write(note)
    store.write(lambda tx: tx.runs.claim("w1", 5))  # nothing ready: nothing written
    store.write(note)
    assert seen == [(1, "before"), (1, "after"), (2, "before"), (2, "after")]


def test_a_store_survives_a_fork(place: Place, store: Database) -> None:
    store.write(note)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            numbers = (store.write(note), len(store.read(lambda tx: tx.journal.read("node:a"))))
            code = 0 if numbers == (2, 2) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.write(note) == 3


def test_a_race_that_never_ends_is_reported(store: Database) -> None:
    store.write(lambda tx: tx.episodes.open("etl", "k", run_id=None, incident_id=None))
    times: list[int] = []

    def work(tx: Tx) -> None:
        times.append(1)
        tx.episodes.open("etl", "k", run_id=None, incident_id=None)

    with pytest.raises(StanchError, match="open episode"):
        store.write(work)
    assert 1 < len(times) < 10


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("not a url", "cannot be read"),
        ("mysql://localhost/x", "sqlite and postgresql"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_a_url_that_names_no_store_is_refused(url: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        open_store(url, keys=KEYS)


def test_a_brake_set_on_one_node_holds_on_the_other(place: Place) -> None:
    one, two = place.open(), place.open()
    one.write(lambda tx: tx.brakes.set(BrakeRow("kill", True, "alice", "stop", START)))
    found = two.write(lambda tx: tx.brakes.get("kill"))
    assert found is not None
    assert found.engaged


def test_a_fault_in_the_journal_itself_leaves_nobody_waiting(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(n: int, phase: str) -> None:
        if n == 1 and phase == "before":
            raise OSError("not this time")

    store = place.open(on_commit=hook)
    with pytest.raises(OSError, match="not this time"):
        store.write(note)
    assert "failed in the journal itself" in caplog.text
    assert store.write(note) == 1


def test_many_readers_at_once_each_have_their_connection(store: Database) -> None:
    store.write(note)
    barrier = threading.Barrier(12)
    counts: list[int] = []

    def work(tx: Tx) -> int:
        barrier.wait(10)
        return len(tx.journal.read("node:a"))

    threads = [threading.Thread(target=lambda: counts.append(store.read(work))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert counts == [1] * 12
