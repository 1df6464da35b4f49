"""The journal's chains, timers, and what is kept beside the chain."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from engine.domain.entry import Entry
from engine.domain.errors import InvalidInput
from engine.domain.run import RunState
from engine.journal.chains import GENESIS, link
from engine.journal.codec import dumps, micros
from engine.journal.database import Database
from engine.journal.keys import Keys
from engine.journal.store import Tx
from tests.contract.store.conftest import KEYS, Place, make_run, owned


def test_entries_are_numbered_chained_and_read_back(store: Database) -> None:
    run = owned(store).id
    bodies = [{"b": 1, "a": "\u00e4\x00"}, {"big": 1 << 80, "half": "\ud800"}, {}]
    last = store.write(
        lambda tx: tx.journal.append(run, [Entry("step.intent", body) for body in bodies], epoch=1)
    )
    assert last == 4
    assert store.write(lambda tx: tx.journal.append(run, [], epoch=1)) == 4
    entries = store.read(lambda tx: tx.journal.read(run))
    assert [entry.n for entry in entries] == [1, 2, 3, 4]
    assert [entry.body for entry in entries[1:]] == bodies
    previous = GENESIS
    for entry in entries:
        previous = link(previous, run, entry.n, micros(entry.at), entry.kind, dumps(entry.body))
        assert previous.hex() == entry.hash
    assert store.read(lambda tx: tx.journal.heads()) == {run: (4, previous.hex())}
    assert [e.n for e in store.read(lambda tx: tx.journal.read(run, after=2))] == [3, 4]
    assert [e.n for e in store.read(lambda tx: tx.journal.read(run, after=1, limit=2))] == [2, 3]
    assert store.read(lambda tx: tx.journal.read("nowhere")) == []


def test_chains_outside_runs_need_no_epoch(store: Database) -> None:
    for n in (1, 2):
        assert store.write(lambda tx: tx.journal.append("node:a", [Entry("brake.set")])) == n
    assert store.write(lambda tx: tx.journal.append("inc-1", [Entry("incident.note")])) == 1


def test_timers_fire_once_move_and_wake(place: Place, store: Database) -> None:
    one, two = owned(store, "w1").id, owned(store, "w1").id

    def park(tx: Tx) -> None:
        now = tx.now()
        tx.timers.set(one, "gate", now + timedelta(seconds=5))
        tx.timers.set(one, "wait", now + timedelta(seconds=10))
        tx.timers.set(one, "wait", now + timedelta(seconds=50))
        tx.timers.set(two, "wait", now + timedelta(seconds=10))
        tx.timers.set(two, "other", now + timedelta(seconds=10))
        for run in (one, two):
            tx.runs.release(run, 1)

    assert store.read(lambda tx: tx.timers.next()) is None
    store.write(park)
    assert store.write(lambda tx: tx.timers.fire()) == []
    place.advance(6)
    assert store.write(lambda tx: tx.timers.fire()) == [one]
    assert [row.id for row in store.write(lambda tx: tx.runs.claim("w1", 9))] == [one]
    store.write(lambda tx: tx.timers.clear(two, "other"))
    place.advance(6)
    assert store.write(lambda tx: tx.timers.fire()) == [two]
    assert store.read(lambda tx: tx.timers.next()) is not None
    store.write(lambda tx: tx.timers.clear(one))
    assert store.read(lambda tx: tx.timers.next()) is None


def test_programs_and_plans(store: Database) -> None:
    digest = hashlib.sha256(b"text").hexdigest()
    for text in ("text", "text"):
        store.write(lambda tx, t=text: tx.blobs.put_program(digest, t))  # type: ignore[misc]
    assert store.read(lambda tx: tx.blobs.program(digest)) == "text"
    assert store.read(lambda tx: tx.blobs.program("0")) is None
    assert store.read(lambda tx: tx.blobs.plan("r1")) is None
    for fingerprint in ("a", "b", "a"):
        store.write(
            lambda tx, f=fingerprint: tx.blobs.put_plan("r1", f, {"of": f})  # type: ignore[misc]
        )
        assert store.read(lambda tx: tx.blobs.plan("r1")) == {"of": fingerprint}
    assert store.read(lambda tx: tx.blobs.plan("r1", "b")) == {"of": "b"}
    assert store.read(lambda tx: tx.blobs.plan("r1", "c")) is None
    assert store.read(lambda tx: tx.blobs.plan("r2")) is None


def test_before_images_are_sealed_and_pruned(place: Place, store: Database) -> None:
    image = {"rows": [{"mail": "alice@example.org"}]}
    digest = store.write(lambda tx: tx.blobs.put_image("r1", "k1", image))
    assert digest == hashlib.sha256(dumps(image).encode()).hexdigest()
    assert store.read(lambda tx: tx.blobs.image("r1", "k1")) == image
    assert store.read(lambda tx: tx.blobs.image("r1", "k2")) is None
    ((sealed,),) = place.sql("SELECT sealed FROM images")
    assert b"alice" not in bytes(sealed)
    place.advance(60)
    kept = store.write(lambda tx: tx.blobs.put_image("r1", "k2", {"new": True}))
    moment = store.read(lambda tx: tx.now()) - timedelta(seconds=30)
    assert store.write(lambda tx: tx.blobs.prune_images(moment)) == 1
    assert store.read(lambda tx: tx.blobs.image("r1", "k1")) is None
    assert store.read(lambda tx: tx.blobs.image("r1", "k2")) == {"new": True}
    assert sorted(place.sql("SELECT digest FROM images")) == sorted([(digest,), (kept,)])


def test_before_images_of_runs_under_way_are_not_pruned(place: Place, store: Database) -> None:
    run = owned(store)
    store.write(lambda tx: tx.blobs.put_image(run.id, "k1", {"x": 1}))
    place.advance(60)
    later = store.read(lambda tx: tx.now())
    assert store.write(lambda tx: tx.blobs.prune_images(later)) == 0
    store.write(lambda tx: tx.runs.update(run.id, 1, state=RunState.RUNNING))
    store.write(lambda tx: tx.runs.end(run.id, 1, RunState.FAILED, "it failed"))
    assert store.write(lambda tx: tx.blobs.prune_images(later)) == 1


def test_a_before_image_opens_only_in_its_place_and_with_its_key(
    place: Place, store: Database
) -> None:
    for key in ("k1", "k2"):
        store.write(lambda tx, k=key: tx.blobs.put_image("r1", k, {"of": k}))  # type: ignore[misc]
    place.sql("UPDATE images SET sealed = (SELECT sealed FROM images WHERE key = 'k2')")
    with pytest.raises(InvalidInput, match="changed or moved"):
        store.read(lambda tx: tx.blobs.image("r1", "k1"))
    stranger = place.open(keys=Keys.generate())
    with pytest.raises(InvalidInput, match=r"not in keys\.images"):
        stranger.read(lambda tx: tx.blobs.image("r1", "k2"))
    assert store.read(lambda tx: tx.blobs.image("r1", "k2")) == {"of": "k2"}
    assert KEYS.images.current.hex() not in repr(KEYS)


def test_tokens_are_found_until_they_expire_or_are_revoked(place: Place, store: Database) -> None:
    def add(tx: Tx) -> None:
        tx.tokens.add("alice", "hash-1", ["sre", "dba"], None)
        tx.tokens.add("bob", "hash-2", [], tx.now() + timedelta(hours=1))

    store.write(add)

    def find(hashed: str) -> Any:
        return store.read(lambda tx: tx.tokens.find(hashed))

    assert find("hash-1") == ("alice", ("sre", "dba"))
    assert find("hash-2") == ("bob", ())
    assert find("hash-3") is None
    place.advance(3601)
    assert find("hash-2") is None
    assert store.write(lambda tx: tx.tokens.revoke("alice")) == 1
    assert store.write(lambda tx: tx.tokens.revoke("alice")) == 0
    assert find("hash-1") is None
    listed = store.read(lambda tx: tx.tokens.list())
    assert [each["name"] for each in listed] == ["alice", "bob"]
    assert listed[0]["revoked_at"] is not None
    assert listed[1]["revoked_at"] is None
    assert "hash" not in str(listed)


def test_a_chain_of_a_run_nobody_claimed_takes_entries_without_an_epoch(store: Database) -> None:
    run = store.write(make_run)
    assert store.write(lambda tx: tx.journal.append(run, [Entry("run.signal")])) == 2
