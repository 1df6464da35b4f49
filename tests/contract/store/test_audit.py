"""What somebody with the database's password did behind the engine's back is found."""

from __future__ import annotations

import hashlib
import hmac
import json
import time

import pytest

from engine.domain.entry import Entry
from engine.domain.errors import StaleOwner
from engine.journal.audit import verify
from engine.journal.chains import GENESIS, link
from engine.journal.codec import dumps
from engine.journal.database import Database
from engine.journal.keys import KeyRing, Keys, key_id
from engine.journal.seals import BATCH, Sealer, message, seal
from engine.journal.store import Tx
from tests.contract.store.conftest import KEYS, Place, make_run, owned


def story(tx: Tx) -> list[str]:
    runs = [make_run(tx) for _ in range(3)]
    for run in runs:
        tx.journal.append(run, [Entry("step.intent", {"n": n}) for n in range(4)])
    tx.journal.append("node:a", [Entry("brake.set", {"by": "alice"})])
    return runs


def unlock(place: Place) -> None:
    """Take the triggers away: who may change the schema may do that, and the audit must still see."""
    for table in ("entries", "seals"):
        if place.is_sqlite:
            place.sql(f"DROP TRIGGER {table}_no_update")
            place.sql(f"DROP TRIGGER {table}_no_delete")
        else:
            place.sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")


def found(store: Database, **given: object) -> str:
    report = verify(store, **given)  # type: ignore[arg-type]
    assert report.ok == (not report.findings)
    return "\n".join(map(str, report.findings))


def test_a_chain_that_two_nodes_take_turns_at_stays_whole(place: Place) -> None:
    """A head that a node remembers is checked against the one that is there: others append too, and a
    work that failed leaves a memory of what was never kept."""
    nodes = [place.open(), place.open()]

    def append(n: int, name: str) -> int:
        return nodes[n].write(lambda tx: tx.journal.append("node:a", [Entry(name), Entry(name)]))

    def fail(tx: Tx) -> None:
        tx.journal.append("node:a", [Entry("never")])
        raise KeyError("mine")

    assert [append(n, f"of {n}") for n in (0, 0, 1, 0, 1, 1)] == [2, 4, 6, 8, 10, 12]
    with pytest.raises(KeyError):
        nodes[1].write(fail)
    assert [append(n, f"of {n}") for n in (0, 1, 1)] == [14, 16, 18]
    assert verify(nodes[0]).ok
    kinds = [entry.kind for entry in nodes[0].read(lambda tx: tx.journal.read("node:a"))]
    assert kinds[::2] == [f"of {n}" for n in (0, 0, 1, 0, 1, 1, 0, 1, 1)]


def test_a_remembered_head_lets_no_former_owner_write(place: Place, store: Database) -> None:
    run = owned(store, "w1")
    store.write(lambda tx: tx.journal.append(run.id, [Entry("step.intent")], epoch=1))
    place.advance(6)
    store.write(lambda tx: tx.workers.recover())
    with pytest.raises(StaleOwner):
        store.write(lambda tx: tx.journal.append(run.id, [Entry("late")], epoch=1))
    (again,) = store.write(lambda tx: tx.runs.claim("w2", 9))
    store.write(lambda tx: tx.journal.append(run.id, [Entry("next")], epoch=again.epoch))
    kinds = [entry.kind for entry in store.read(lambda tx: tx.journal.read(run.id))]
    assert kinds == ["run.created", "step.intent", "next"]
    assert verify(store).ok


def test_an_untouched_journal_is_whole(store: Database) -> None:
    store.write(story)
    report = verify(store)
    assert (report.ok, report.chains, report.entries, report.unsealed) == (True, 4, 16, 4)
    assert seal(store) == 4
    assert seal(store) == 0
    store.write(lambda tx: tx.journal.append("node:a", [Entry("brake.set")]))
    report = verify(store)
    assert (report.ok, report.seals, report.unsealed) == (True, 1, 1)
    assert seal(store) == 1
    data = verify(store).as_json()
    assert data["ok"]
    assert (data["seals"], data["findings"]) == (2, [])
    assert str(data["last_seal"]).startswith("2:")


def test_the_database_itself_refuses_to_change_what_was_written(
    place: Place, store: Database
) -> None:
    store.write(story)
    seal(store)
    statements = ["UPDATE entries SET kind = 'x'", "DELETE FROM entries", "DELETE FROM seals"]
    if not place.is_sqlite:
        statements += ["TRUNCATE entries", "TRUNCATE seals"]
    for statement in [*statements, "UPDATE seals SET at = 0"]:
        with pytest.raises(Exception, match="append-only"):
            place.sql(statement)
    assert verify(store).ok


@pytest.mark.parametrize("sealed", [False, True])
def test_tampering_inside_chains_is_found(place: Place, store: Database, sealed: bool) -> None:
    one, two, three = store.write(story)
    if sealed:
        seal(store)
    unlock(place)
    place.sql(f"UPDATE entries SET body = '{{}}' WHERE chain = '{one}' AND n = 3")
    place.sql(f"DELETE FROM entries WHERE chain = '{two}' AND n IN (2, 3)")
    place.sql(f"UPDATE entries SET at = at + 1 WHERE chain = '{three}' AND n = 5")
    place.sql("UPDATE entries SET kind = 'brake.released' WHERE chain = 'node:a'")
    text = found(store)
    assert f"{one} entry 3: was changed" in text
    assert f"{two} entry 4: entries 2 to 3 before it are missing" in text
    assert f"{three} entry 5: was changed" in text
    assert "node:a entry 1: was changed" in text
    assert len(text.splitlines()) == 4


def test_entries_that_changed_places_are_found(place: Place, store: Database) -> None:
    run = store.write(story)[0]
    unlock(place)
    for before, after in ((2, 99), (3, 2), (99, 3)):
        place.sql(f"UPDATE entries SET n = {after} WHERE chain = '{run}' AND n = {before}")
    assert f"{run} entry 2: was changed, or is not in its place" in found(store)


def test_what_was_removed_or_added_at_the_end_is_found(place: Place, store: Database) -> None:
    one, two, three = store.write(story)
    unlock(place)
    place.sql(f"DELETE FROM entries WHERE chain = '{one}' AND n > 3")
    place.sql(f"DELETE FROM entries WHERE chain = '{two}'")
    place.sql(f"DELETE FROM chains WHERE chain = '{three}'")
    place.sql(
        "INSERT INTO entries (chain, n, at, kind, body, hash) "
        "SELECT chain, 2, at, kind, body, hash FROM entries WHERE chain = 'node:a'"
    )
    text = found(store)
    assert f"{one}: the entries 4 to 5 were removed" in text
    assert f"{two}: all its entries were removed" in text
    assert f"{three}: its head was removed; 5 entries are there" in text
    assert "node:a entry 2: was changed" in text
    assert "node:a: entries after 1 were added" in text


def test_a_run_without_its_journal_and_a_journal_without_its_run_are_found(
    place: Place, store: Database
) -> None:
    one, two, _ = store.write(story)
    unlock(place)
    place.sql(f"DELETE FROM entries WHERE chain = '{one}'")
    place.sql(f"DELETE FROM chains WHERE chain = '{one}'")
    place.sql(f"DELETE FROM runs WHERE id = '{two}'")
    assert found(store).splitlines() == [
        f"{one}: the run is there and its journal is not",
        f"{two}: its run was removed",
    ]


def test_a_tail_cut_off_together_with_its_head_is_found_by_the_seal(
    place: Place, store: Database
) -> None:
    run = store.write(story)[0]
    seal(store)
    unlock(place)
    place.sql(f"DELETE FROM entries WHERE chain = '{run}' AND n > 3")
    place.sql(
        f"UPDATE chains SET n = 3, sealed = 3, hash = "
        f"(SELECT hash FROM entries WHERE chain = '{run}' AND n = 3) WHERE chain = '{run}'"
    )
    assert f"{run} entry 5: was sealed (seal 1) and has been removed" in found(store)


def test_a_run_removed_without_a_trace_is_found_by_the_seal(place: Place, store: Database) -> None:
    run = store.write(story)[0]
    seal(store)
    unlock(place)
    for table, column in (("entries", "chain"), ("chains", "chain"), ("runs", "id")):
        place.sql(f"DELETE FROM {table} WHERE {column} = '{run}'")
    assert found(store) == f"{run} entry 5: was sealed (seal 1) and has been removed"


def test_a_chain_rewritten_with_right_hashes_is_found_by_the_seal(
    place: Place, store: Database
) -> None:
    store.write(story)
    seal(store)
    unlock(place)
    ((at,),) = place.sql("SELECT at FROM entries WHERE chain = 'node:a'")
    body = dumps({"by": "mallory"})
    head = link(GENESIS, "node:a", 1, at, "brake.set", body).hex()
    blob = f"X'{head}'" if place.is_sqlite else f"'\\x{head}'"
    place.sql(f"UPDATE entries SET body = '{body}', hash = {blob} WHERE chain = 'node:a'")
    place.sql(f"UPDATE chains SET hash = {blob} WHERE chain = 'node:a'")
    assert found(store) == ("node:a entry 1: is not what was sealed (seal 1): it was rewritten")


def test_a_forged_changed_or_removed_seal_is_found(place: Place, store: Database) -> None:
    for _ in range(3):
        store.write(story)
        seal(store)
    mark = verify(store).last_seal
    unlock(place)
    ((n, at, heads),) = place.sql("SELECT n, at, heads FROM seals WHERE n = 3")
    shorter = dumps(json.loads(heads)[1:])
    place.sql(f"UPDATE seals SET heads = '{shorter}' WHERE n = 3")
    assert "seal 3: is forged or was changed" in found(store)

    # A seal of one's own needs the key: with another it names a key that is not configured.
    key = b"m" * 32
    ((previous,),) = place.sql("SELECT mac FROM seals WHERE n = 2")
    mac = hmac.digest(key, message(n, at, bytes(previous), shorter), hashlib.sha256).hex()
    blob = f"X'{mac}'" if place.is_sqlite else f"'\\x{mac}'"
    place.sql(f"UPDATE seals SET mac = {blob} WHERE n = 3")
    assert "seal 3: is forged or was changed" in found(store)
    place.sql(f"UPDATE seals SET key_id = '{key_id(key)}' WHERE n = 3")
    assert "which is not in keys.seal" in found(store)

    place.sql("DELETE FROM seals WHERE n = 2")
    assert "seal 2: is missing" in found(store)
    place.sql("DELETE FROM seals WHERE n = 3")
    text = found(store, expected_seal=mark)
    assert "seal 3: was removed or replaced" in text


def test_a_head_that_pretends_to_be_sealed_is_found(place: Place, store: Database) -> None:
    run = store.write(story)[0]
    place.sql(f"UPDATE chains SET sealed = 99 WHERE chain = '{run}'")
    assert found(store) == f"{run}: no seal covers it up to entry 99, as its head says"


def test_seals_outlive_a_new_key_as_long_as_the_old_one_is_kept(place: Place) -> None:
    old = place.open()
    old.write(story)
    seal(old)
    ring = KeyRing((b"n" * 32, *KEYS.seal.keys))
    new = place.open(keys=Keys(KEYS.images, ring))
    new.write(lambda tx: tx.journal.append("node:a", [Entry("brake.set")]))
    seal(new)
    assert verify(new).ok
    assert verify(old, ring).ok
    assert "seal 2: was made with key" in found(old)


def test_sealing_costs_what_changed(store: Database) -> None:
    store.write(lambda tx: [tx.journal.append(f"inc-{n}", [Entry("x")]) for n in range(BATCH + 5)])
    assert seal(store) == BATCH + 5
    assert verify(store).seals == 2
    store.write(lambda tx: tx.journal.append("inc-7", [Entry("x")]))
    assert seal(store) == 1
    assert verify(store).ok


def test_the_sealer_seals_by_itself_and_when_it_stops(store: Database) -> None:
    sealer = Sealer(store, every=0.05)
    sealer.start()
    store.write(story)
    until = time.monotonic() + 10
    while verify(store).unsealed:
        assert time.monotonic() < until
        time.sleep(0.02)
    sealer.stop()
    last = Sealer(store, every=3600)
    last.start()
    store.write(lambda tx: tx.journal.append("node:a", [Entry("server.stopped")]))
    last.stop()
    assert verify(store).unsealed == 0
