"""The outbox keeps order, sends nothing twice by itself, and survives whoever delivers; so do rooms and inbox."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from engine.domain.entry import Entry
from engine.domain.ids import new_id
from engine.domain.incident import IncidentState
from engine.journal.database import Database
from engine.journal.parcels import Delivery, Parcel, Room, Settled
from engine.journal.rows import IncidentRow
from engine.journal.store import Tx
from tests.contract.store.conftest import START, Place, make_run

DONE = Settled("done")


def post(key: str, lane: str = "a", name: str | None = None, text: str = "x") -> Parcel:
    return Parcel(key, lane, "post", name or key, {"message": text})


def edit(key: str, name: str, text: str) -> Parcel:
    return Parcel(key, "a", "update", name, {"message": text})


def put(store: Database, *parcels: Parcel) -> list[bool]:
    return store.write(lambda tx: [tx.outbox.put(one) for one in parcels])


def claim(store: Database, owner: str = "w") -> Delivery:
    found = store.write(lambda tx: tx.outbox.claim(owner, 60))
    assert found is not None
    return found


def idle(store: Database) -> bool:
    return store.write(lambda tx: tx.outbox.claim("w", 60)) is None


def settle(store: Database, delivery: Delivery, settled: Settled = DONE) -> bool:
    return store.write(lambda tx: tx.outbox.settle(delivery, settled))


def test_parcels_come_in_order_and_once_a_key(store: Database) -> None:
    assert put(store, post("1"), post("2"), post("1")) == [True, True, False]
    for key in ("1", "2"):
        delivery = claim(store)
        assert (delivery.parcel.key, delivery.doubt, delivery.attempts) == (key, False, 1)
        assert idle(store), "one lane, one at a time"
        assert settle(store, delivery)
    assert idle(store)
    assert store.read(lambda tx: tx.outbox.has("1"))
    assert put(store, post("1")) == [False]
    assert idle(store)


def test_lanes_do_not_wait_for_each_other(store: Database) -> None:
    put(store, post("1", "a"), post("2", "b"))
    first, second = claim(store, "v"), claim(store, "w")
    assert {first.parcel.lane, second.parcel.lane} == {"a", "b"}


def test_only_the_newest_edit_is_sent_and_one_that_waits_joins_its_post(store: Database) -> None:
    put(store, post("s", name="status", text="first"), edit("e1", "status", "second"))
    put(store, edit("e2", "status", "third"), post("2"))
    delivery = claim(store)
    assert delivery.parcel.body["message"] == "third"
    settle(store, delivery, replace(DONE, ref="17.1", channel="C1"))
    delivery = claim(store)
    assert delivery.parcel.key == "2"
    assert delivery.channel == "C1"
    put(store, edit("e3", "status", "fourth"))
    settle(store, delivery)
    put(store, edit("e4", "status", "fifth"))
    delivery = claim(store)
    assert (delivery.parcel.key, delivery.posts) == ("e4", {"status": "17.1"})
    put(store, edit("e5", "status", "sixth"))  # what is under way is not taken back
    settle(store, delivery)
    assert claim(store).parcel.key == "e5"


def test_who_dies_under_way_leaves_a_doubt_and_cannot_settle_any_more(place: Place) -> None:
    store = place.open()
    put(store, post("1"))
    first = claim(store, "v")
    place.advance(61)
    second = claim(store, "w")
    assert (second.doubt, second.attempts, second.parcel) == (True, 2, first.parcel)
    assert not settle(store, first, replace(DONE, ref="1.1"))
    assert settle(store, second, replace(DONE, ref="2.2"))
    assert idle(store)
    put(store, edit("e", "1", "new"))
    assert claim(store).posts == {"1": "2.2"}


def test_a_lane_waits_as_it_is_told_and_a_doubt_stays_a_doubt(place: Place) -> None:
    store = place.open()
    put(store, post("1"), post("2"))
    settle(store, claim(store), Settled("queued", 30, "slack is away", doubtful=True))
    assert idle(store)
    assert store.read(lambda tx: tx.outbox.troubles()) == [("a", "slack is away")]
    put(store, post("3"))
    assert idle(store), "news do not shorten the wait"
    place.advance(31)
    again = claim(store)
    assert (again.parcel.key, again.doubt) == ("1", True)
    settle(store, again, Settled("failed", error="channel_not_found"))
    assert store.read(lambda tx: tx.outbox.troubles()) == []
    assert claim(store).parcel.key == "2"
    assert [one.key for one in store.read(lambda tx: tx.outbox.waiting("a"))] == ["2", "3"]


def test_a_limit_is_everybodys(place: Place) -> None:
    store, other = place.open(), place.open()
    put(store, post("1"))
    settle(store, claim(store), Settled("queued", 30, "slow down", hold={"chat.postMessage": 30}))
    assert 29 < other.read(lambda tx: tx.outbox.held("chat.postMessage")) <= 30
    assert other.read(lambda tx: tx.outbox.held("chat.update")) == 0
    place.advance(31)
    assert other.read(lambda tx: tx.outbox.held("chat.postMessage")) == 0


def test_two_nodes_never_claim_one_lane(place: Place) -> None:
    nodes = [place.open() for _ in range(3)]
    put(nodes[0], *(post(f"{n}", f"lane{n % 4}") for n in range(16)))
    claimed = [node.submit(lambda tx: tx.outbox.claim("w", 60)) for _ in range(3) for node in nodes]
    found = [one for future in claimed if (one := future.result(20)) is not None]
    lanes = [one.parcel.lane for one in found]
    assert sorted(lanes) == sorted(set(lanes))
    assert {one.parcel.key for one in found} <= {"0", "1", "2", "3"}


def test_a_channel_that_is_there_is_bound_and_found(store: Database) -> None:
    store.write(lambda tx: tx.outbox.bind("#ops", "C9"))
    put(store, post("1", "#ops"))
    assert claim(store).channel == "C9"
    assert store.read(lambda tx: (tx.outbox.channel("#ops"), tx.outbox.lane_of("C9"))) == (
        "C9",
        "#ops",
    )


def test_old_parcels_are_forgotten_and_open_ones_kept(place: Place) -> None:
    store = place.open()
    put(store, post("1"))
    settle(store, claim(store))
    put(store, post("2"))
    place.advance(3600)
    assert store.write(lambda tx: tx.outbox.prune(tx.now() - timedelta(minutes=30))) == 1
    assert [one.key for one in store.read(lambda tx: tx.outbox.waiting("a"))] == ["2"]


# ---------------------------------------------------------------- rooms


def incident(tx: Tx, state: IncidentState = IncidentState.OPEN) -> str:
    row = IncidentRow(new_id("incident"), "t", "r", state, "P1", tx.now(), None)
    tx.incidents.open(row)
    tx.journal.append(row.id, [Entry("incident.opened", {})])
    return row.id


def test_rooms_are_opened_once_and_saved_by_who_read_them_last(store: Database) -> None:
    one = store.write(incident)
    over = store.write(lambda tx: incident(tx, IncidentState.CLOSED))
    assert store.read(lambda tx: tx.rooms.new(tx.now() + timedelta(hours=1), 9)) == [one]
    assert store.read(lambda tx: tx.rooms.new(START, 9)) == [one, over]
    room = Room(one, "open", 0, {"cursors": {}}, None)
    assert store.write(lambda tx: (tx.rooms.open(room), tx.rooms.open(room))) == (True, False)
    assert store.read(lambda tx: tx.rooms.new(START, 9)) == [over]
    run = store.write(lambda tx: make_run(tx, incident_id=one))
    assert store.read(lambda tx: tx.rooms.heads()) == {one: {one: 1, run: 1}}
    due = replace(room, body={"cursors": {one: 1}}, due=START)
    assert store.write(lambda tx: tx.rooms.save(due))
    assert not store.write(lambda tx: tx.rooms.save(due)), "somebody was quicker"
    assert store.read(lambda tx: tx.rooms.get(one)) == replace(due, version=1)
    assert store.read(lambda tx: tx.rooms.next_due()) == START
    assert store.write(lambda tx: tx.rooms.save(replace(due, version=1, state="closed")))
    assert store.read(lambda tx: (tx.rooms.live(), tx.rooms.heads())) == ([], {})


# ---------------------------------------------------------------- the inbox


def test_a_request_is_taken_once_and_worked_on_by_one(place: Place) -> None:
    store = place.open()
    assert store.write(lambda tx: tx.inbox.take("r1", "command", {"text": "status"}))
    assert not store.write(lambda tx: tx.inbox.take("r1", "command", {"text": "status"}))
    received = store.write(lambda tx: tx.inbox.claim("v", 60))
    assert received is not None
    assert (received.id, received.body, received.again) == ("r1", {"text": "status"}, False)
    assert store.write(lambda tx: tx.inbox.claim("w", 60)) is None
    place.advance(61)
    received = store.write(lambda tx: tx.inbox.claim("w", 60))
    assert received is not None
    assert received.again
    store.write(lambda tx: tx.inbox.done("r1"))
    place.advance(61)
    assert store.write(lambda tx: tx.inbox.claim("w", 60)) is None
    assert not store.write(lambda tx: tx.inbox.take("r1", "command", {})), "also after it is done"
    assert store.write(lambda tx: tx.inbox.prune(tx.now())) == 1
