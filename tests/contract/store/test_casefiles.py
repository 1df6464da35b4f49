"""Calls, artifacts, postmortems and steps' acts: alike on both databases, decided once by several nodes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.domain.errors import Refused
from engine.domain.incident import IncidentState
from engine.domain.people import Actor
from engine.domain.run import RunState
from engine.incidents import handling
from engine.journal.casefiles import ArtifactRow, CallRow, PostmortemRow, SendRow
from engine.journal.database import Database
from engine.journal.rows import IncidentRow
from tests.contract.store.conftest import Place, owned

START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
ALICE = Actor("alice")


def call(store: Database, name: str = "page-1") -> CallRow:
    now = store.read(lambda tx: tx.now())
    row = CallRow(
        *(name, "incident:inc-1", None, "inc-1", "critical", "default", "why\0", "calling", 0, 0),
        now,
        now,
        body={"labels": {"a": "\ud800"}},
    )
    assert store.write(lambda tx: tx.calls.open(row))
    return row


def get(store: Database, name: str = "page-1") -> CallRow:
    found = store.read(lambda tx: tx.calls.get(name))
    assert found is not None
    return found


def test_a_page_has_one_call(store: Database) -> None:
    row = call(store)
    assert not store.write(lambda tx: tx.calls.open(replace(row, chain="other")))
    found = get(store)
    assert replace(found, reason=row.reason) == row
    assert found.reason == "why\ufffd"
    assert store.read(lambda tx: tx.calls.open_ones()) == [found]


def test_a_change_is_made_on_what_was_seen(store: Database, place: Place) -> None:
    row = call(store)
    other = place.open()
    later = row.opened_at + timedelta(seconds=60)
    assert store.write(lambda tx: tx.calls.change(row, rung=1, next_at=later))
    assert not other.write(lambda tx: tx.calls.change(row, rung=2, next_at=None))
    assert (get(store).rung, get(other).next_at) == (1, later)
    assert store.read(lambda tx: tx.calls.due(10)) == []
    place.advance(61)
    assert store.read(lambda tx: tx.calls.due(10)) == [get(store)]
    closed = get(store)
    assert store.write(
        lambda tx: tx.calls.change(closed, state="over", next_at=None, closed_at=tx.now())
    )
    assert store.read(lambda tx: tx.calls.open_ones()) == []


def test_a_message_is_claimed_by_one_node_at_a_time(store: Database, place: Place) -> None:
    row = call(store)
    send = SendRow("page-1", 1, "trigger", "alice", {"webhook": "p"}, "pending", START, 0, START)
    store.write(lambda tx: tx.calls.send(send))
    nodes = [store, place.open()]
    gate = threading.Barrier(2)

    def claim(node: Database) -> bool:
        gate.wait()
        return node.write(lambda tx: tx.calls.claim_send(send, tx.now() + timedelta(seconds=60)))

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(claim, nodes)) == [False, True]
    assert store.read(lambda tx: tx.calls.due_sends(10)) == []
    place.advance(61)  # its node died: another may
    (again,) = store.read(lambda tx: tx.calls.due_sends(10))
    assert again.tries == 1
    assert nodes[1].write(lambda tx: tx.calls.claim_send(again, tx.now()))
    store.write(lambda tx: tx.calls.sent(send, state="sent", error="", next_at=None))
    store.write(lambda tx: tx.calls.sent(send, state="failed", error="late", next_at=START))
    (done,) = store.read(lambda tx: tx.calls.sends(row.id))
    assert (done.state, done.error, done.next_at) == ("sent", "", None)


def race(place: Place, store: Database, *works: Callable[[Any], Any]) -> None:
    nodes = [store, *(place.open() for _ in works[1:])]
    gate = threading.Barrier(len(works))

    def run(node: Database, work: Callable[[Any], Any]) -> None:
        gate.wait()
        node.write(work)

    with ThreadPoolExecutor(len(works)) as pool:
        list(pool.map(run, nodes, works))


def test_two_nodes_change_one_incident_and_lose_nothing(store: Database, place: Place) -> None:
    row = IncidentRow("inc-1", "t", "r", IncidentState.OPEN, "P2", START, None, {"key": {}})
    store.write(lambda tx: tx.incidents.open(row))
    for _ in range(5):
        race(
            place,
            store,
            lambda tx: handling.assign(tx, "inc-1", "commander", f"a{tx.now()}"[:40], ALICE),
            lambda tx: handling.assign(tx, "inc-1", "scribe", f"b{tx.now()}"[:40], ALICE),
        )
    found = store.read(lambda tx: tx.incidents.get("inc-1"))
    assert found is not None
    assert set(found.body["roles"]) == {"commander", "scribe"}
    entries = store.read(lambda tx: tx.journal.read("inc-1"))
    last = {entry.body["role"]: entry.body["to"] for entry in entries}
    assert found.body["roles"] == last


def test_two_nodes_merge_two_incidents_into_one_another_once(store: Database, place: Place) -> None:
    for name in ("inc-1", "inc-2"):
        row = IncidentRow(name, name, "r", IncidentState.OPEN, "P2", START, None, {})
        store.write(lambda tx, row=row: tx.incidents.open(row))  # type: ignore[misc]

    def merge(source: str, into: str) -> Callable[[Any], Any]:
        def work(tx: Any) -> None:
            with contextlib.suppress(Refused):
                handling.merge(tx, source, into, "same", ALICE)

        return work

    race(place, store, merge("inc-1", "inc-2"), merge("inc-2", "inc-1"))
    rows = [store.read(lambda tx, one=one: tx.incidents.get(one)) for one in ("inc-1", "inc-2")]  # type: ignore[misc]
    merged = [row.id for row in rows if row is not None and row.body.get("merged_into")]
    assert len(merged) == 1
    states = {row.state for row in rows if row is not None}
    assert states == {IncidentState.OPEN, IncidentState.CLOSED}


def test_an_artifact_is_kept_once(store: Database) -> None:
    row = ArtifactRow("art-1", "inc-1", "a.bin", "text/plain", 3, "d" * 64, "alice", START)
    assert store.write(lambda tx: tx.artifacts.add(row, b"\0\xff\n")).id == "art-1"
    second = replace(row, id="art-2")
    assert store.write(lambda tx: tx.artifacts.add(second, b"\0\xff\n")).id == "art-1"
    far = replace(row, id="art-3", name="far", bytes=10**12, reference={"connection": "s3"})
    store.write(lambda tx: tx.artifacts.add(far, None))
    assert store.read(lambda tx: tx.artifacts.of("inc-1")) == [row, far]
    assert store.read(lambda tx: tx.artifacts.get("art-3")) == far
    assert store.read(lambda tx: tx.artifacts.content("art-1")) == b"\0\xff\n"
    assert store.read(lambda tx: tx.artifacts.content("art-3")) is None
    assert store.read(lambda tx: tx.artifacts.total("inc-1")) == 3
    assert store.read(lambda tx: tx.artifacts.total("inc-2")) == 0


def test_old_artifacts_of_what_is_over_lose_their_bytes_alone(
    place: Place, store: Database
) -> None:
    for name, state in (("open", IncidentState.OPEN), ("over", IncidentState.RESOLVED)):
        incident = IncidentRow(name, name, "r", state, "P2", START, None, {})
        store.write(lambda tx, row=incident: tx.incidents.open(row))  # type: ignore[misc]
    run = owned(store).id

    def attach(subject: str, at: datetime) -> None:
        row = ArtifactRow(f"of-{subject}", subject, "a", "text/plain", 3, "d" * 64, "alice", at)
        store.write(lambda tx: tx.artifacts.add(row, b"old"))

    for subject in ("open", "over", run):
        attach(subject, START)
    young = START + timedelta(days=2)
    assert store.write(lambda tx: tx.artifacts.prune(START)) == 0, "they are not older"
    assert store.write(lambda tx: tx.artifacts.prune(young)) == 1
    assert store.write(lambda tx: tx.artifacts.prune(young)) == 0

    def kept(subject: str) -> bytes | None:
        return store.read(lambda tx: tx.artifacts.content(f"of-{subject}"))

    assert [kept(subject) for subject in ("open", "over", run)] == [b"old", None, b"old"]
    (row,) = store.read(lambda tx: tx.artifacts.of("over"))
    assert (row.bytes, row.sha256) == (3, "d" * 64)
    attach("over", young)
    assert kept("over") == b"old", "it came again"
    store.write(lambda tx: tx.runs.end(run, 1, RunState.FAILED, ""))
    assert store.write(lambda tx: tx.artifacts.prune(young)) == 1


def test_what_a_step_did_is_kept_by_its_key(store: Database) -> None:
    assert store.read(lambda tx: tx.acts.result("k")) is None
    store.write(lambda tx: tx.acts.done("k", "inc-1", {"n": 1}))
    store.write(lambda tx: tx.acts.done("k", "inc-1", {"n": 2}))
    assert store.read(lambda tx: tx.acts.result("k")) == {"n": 1}


def test_postmortems_come_due(store: Database, place: Place) -> None:
    now = store.read(lambda tx: tx.now())
    row = PostmortemRow(
        *("inc-1", "due", now + timedelta(hours=1), now + timedelta(hours=1), 0, 0),
        *({"summary": "it\nwas"}, "", now),
    )
    store.write(lambda tx: tx.postmortems.put(row))
    assert store.read(lambda tx: tx.postmortems.get("inc-1")) == row
    assert store.read(lambda tx: tx.postmortems.due(10)) == []
    place.advance(3601)
    assert store.read(lambda tx: tx.postmortems.due(10)) == [row]
    store.write(lambda tx: tx.postmortems.put(replace(row, state="published", next_at=None)))
    assert store.read(lambda tx: tx.postmortems.due(10)) == []


def test_a_web_session_ends_with_its_time_its_token_and_its_person(
    store: Database, place: Place
) -> None:
    def find(name: str) -> Any:
        return store.read(lambda tx: tx.web_sessions.find(name))

    def begin(name: str, token: str = "t") -> None:
        store.write(lambda tx: tx.web_sessions.add(name, token, tx.now() + timedelta(hours=12)))

    store.write(lambda tx: tx.tokens.add("alice", "t", ("sre",), None))
    begin("s1")
    begin("s2")
    assert find("s1") == ("alice", ("sre",))
    assert find("s3") is None
    assert store.write(lambda tx: tx.web_sessions.end("s2"))
    assert find("s2") is None
    place.advance(12 * 3600 + 1)
    assert find("s1") is None
    begin("s4")
    assert place.sql("SELECT hashed FROM web_sessions") == [("s4",)]  # what is over is forgotten
    store.write(lambda tx: tx.tokens.revoke("alice"))
    assert find("s4") is None
