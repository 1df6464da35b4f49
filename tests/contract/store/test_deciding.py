"""Decisions, postponed questions, windows, schedules, episodes and incidents."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.domain.errors import NotFound, StanchError
from engine.domain.ids import new_id
from engine.domain.incident import IncidentState
from engine.journal.database import Database
from engine.journal.rows import DecisionRow, IncidentRow, Page
from engine.journal.store import Tx
from tests.contract.store.conftest import START, Place, alert, delivery


def test_decisions_are_listed_newest_first_by_what_they_concern(store: Database) -> None:
    rows = [
        DecisionRow("d1", "a1", "etl", "run", "first", START, "r1", "i1"),
        DecisionRow("d2", "a1", "disk", "skip", "cooldown \x00", START, None, "i1"),
        DecisionRow("d3", None, "etl", "join", "schedule", START, "r2", None),
    ]
    for row in rows:
        store.write(lambda tx, row=row: tx.decisions.add(row))  # type: ignore[misc]

    def ids(**wanted: str) -> list[str]:
        return [row.id for row in store.read(lambda tx: tx.decisions.list(Page(), **wanted))]

    assert ids() == ["d3", "d2", "d1"]
    assert ids(alert_id="a1") == ["d2", "d1"]
    assert ids(rule="etl") == ["d3", "d1"]
    assert ids(run_id="r2") == ["d3"]
    assert ids(incident_id="i1", rule="etl") == ["d1"]
    (first,) = store.read(lambda tx: tx.decisions.list(Page(1, before="d2")))
    assert first == rows[0]


def test_postponed_pairs_come_due_once(place: Place, store: Database) -> None:
    def later(tx: Tx) -> None:
        tx.decisions.postpone("a1", "etl", tx.now() + timedelta(seconds=30))
        tx.decisions.postpone("a2", "etl", tx.now() + timedelta(seconds=10))
        tx.decisions.postpone("a2", "etl", tx.now() + timedelta(seconds=60))

    assert store.read(lambda tx: tx.decisions.next_due()) is None
    store.write(later)
    assert store.write(lambda tx: tx.decisions.due(9)) == []
    place.advance(31)
    assert store.write(lambda tx: tx.decisions.due(9)) == [("a1", "etl")]
    assert store.write(lambda tx: tx.decisions.done("a1", "etl"))
    assert not store.write(lambda tx: tx.decisions.done("a1", "etl"))
    place.advance(31)
    assert store.write(lambda tx: tx.decisions.due(9)) == [("a2", "etl")]
    assert store.read(lambda tx: tx.decisions.next_due()) is not None


def test_a_group_that_is_free_again_makes_its_postponed_pairs_due(store: Database) -> None:
    def later(tx: Tx) -> None:
        day = tx.now() + timedelta(days=1)
        tx.decisions.postpone("a1", "etl", day, group="g")
        tx.decisions.postpone("a2", "etl", day, group="other")

    store.write(later)
    assert store.write(lambda tx: tx.decisions.release("g")) == 1
    assert store.write(lambda tx: tx.decisions.release("nobody")) == 0
    assert store.write(lambda tx: tx.decisions.due(9)) == [("a1", "etl")]


def test_windows_count_members_once_and_since(store: Database) -> None:
    def fill(tx: Tx) -> None:
        for minute, member in enumerate(["a", "b", "a", "c"]):
            tx.windows.add("etl", "ns=x", member, START + timedelta(minutes=minute))
        tx.windows.add("etl", "ns=y", "a", START)

    store.write(fill)

    def count(key: str, minutes: int) -> int:
        return store.read(
            lambda tx: tx.windows.count("etl", key, START + timedelta(minutes=minutes))
        )

    assert (count("ns=x", 0), count("ns=x", 1), count("ns=x", 4)) == (3, 2, 0)
    assert count("ns=y", 0) == 1


def test_throttles_remember_the_last_run(store: Database) -> None:
    assert store.write(lambda tx: tx.windows.last_run("etl", "k")) is None
    for seconds in (0, 5):
        at = START + timedelta(seconds=seconds)
        store.write(lambda tx, at=at: tx.windows.set_last_run("etl", "k", at))  # type: ignore[misc]
    assert store.read(lambda tx: tx.windows.last_run("etl", "k")) == START + timedelta(seconds=5)
    assert store.read(lambda tx: tx.windows.last_run("etl", "other")) is None


def test_a_schedule_fires_once_on_all_nodes(place: Place) -> None:
    one, two = place.open(), place.open()
    assert one.write(lambda tx: tx.schedules.fire("nightly", START))
    assert not two.write(lambda tx: tx.schedules.fire("nightly", START))
    assert two.write(lambda tx: tx.schedules.fire("nightly", START + timedelta(days=1)))
    assert one.read(lambda tx: tx.schedules.last("nightly")) == START + timedelta(days=1)
    assert one.read(lambda tx: tx.schedules.last("weekly")) is None


def test_an_episode_opens_once_and_closes(store: Database) -> None:
    first = store.write(lambda tx: tx.episodes.open("etl", "k", run_id=None, incident_id="i1"))
    assert store.write(lambda tx: tx.episodes.find_open("etl", "k")) == first
    assert store.read(lambda tx: tx.episodes.find_open("etl", "other")) is None
    with pytest.raises(StanchError, match="open episode"):
        store.write(lambda tx: tx.episodes.open("etl", "k", run_id=None, incident_id=None))
    store.write(lambda tx: tx.episodes.set_run(first.id, "r1"))
    found = store.read(lambda tx: tx.episodes.of_run("r1"))
    assert found is not None
    assert found.id == first.id
    assert [e.id for e in store.read(lambda tx: tx.episodes.open_of("i1"))] == [first.id]
    store.write(lambda tx: tx.episodes.close(first.id))
    assert store.read(lambda tx: tx.episodes.find_open("etl", "k")) is None
    assert store.read(lambda tx: tx.episodes.open_of("i1")) == []
    again = store.write(lambda tx: tx.episodes.open("etl", "k", run_id="r2", incident_id="i1"))
    assert again.id != first.id
    assert store.read(lambda tx: tx.episodes.of_run("nobody")) is None


def test_an_episode_counts_the_alerts_that_still_fire(store: Database) -> None:
    def start(tx: Tx) -> str:
        episode = tx.episodes.open("etl", "k", run_id=None, incident_id=None)
        for name in ("f1", "f1", "f2"):
            tx.episodes.join(episode.id, name, START)
        return episode.id

    episode = store.write(start)
    assert store.read(lambda tx: tx.episodes.firing(episode)) == 2
    (resolved,) = store.write(lambda tx: tx.episodes.resolve("f1", START))
    assert resolved.id == episode
    assert store.read(lambda tx: tx.episodes.firing(episode)) == 1
    assert store.write(lambda tx: tx.episodes.resolve("f1", START + timedelta(seconds=1))) == []
    store.write(lambda tx: tx.episodes.resolve("f2", START))
    store.write(lambda tx: tx.episodes.close(episode))
    assert store.read(lambda tx: tx.episodes.firing(episode)) == 0
    assert store.write(lambda tx: tx.episodes.resolve("f2", START)) == []


def test_incidents_are_opened_changed_and_listed(store: Database) -> None:
    rows = [
        IncidentRow(
            f"inc-{n}", f"title {n}", "etl", IncidentState.OPEN, "P1", START, None, {"n": n}
        )
        for n in range(3)
    ]
    for row in rows:
        store.write(lambda tx, row=row: tx.incidents.open(row))  # type: ignore[misc]
    assert store.read(lambda tx: tx.incidents.get("inc-1")) == rows[1]
    assert store.read(lambda tx: tx.incidents.get("inc-9")) is None
    store.write(
        lambda tx: tx.incidents.update(
            "inc-1", state=IncidentState.RESOLVED, resolved_at=START, body={"done": True}
        )
    )
    changed = store.read(lambda tx: tx.incidents.get("inc-1"))
    assert changed is not None
    assert (changed.state, changed.resolved_at) == (IncidentState.RESOLVED, START)
    assert (changed.body, changed.title) == ({"done": True}, "title 1")

    def ids(**kw: Any) -> list[str]:
        return [r.id for r in store.read(lambda tx: tx.incidents.list(Page(), **kw))]

    assert ids() == ["inc-2", "inc-1", "inc-0"]
    assert ids(open_only=True) == ["inc-2", "inc-0"]
    with pytest.raises(NotFound, match="inc-9"):
        store.write(lambda tx: tx.incidents.update("inc-9", title="x"))
    with pytest.raises(ValueError, match="opened_at"):
        store.write(lambda tx: tx.incidents.update("inc-1", opened_at=START))


def test_an_incident_has_its_alerts_in_their_order(store: Database) -> None:
    def work(tx: Tx) -> list[str]:
        incident = new_id("inc")
        tx.incidents.open(IncidentRow(incident, "t", "etl", IncidentState.OPEN, "P1", START, None))
        ids = [i for i, _ in tx.alerts.accept(delivery(alert("a"), alert("b"), alert("c")))]
        for each in (ids[2], ids[0], ids[2]):
            tx.incidents.add_alert(incident, each)
        assert [row.id for row in tx.incidents.alerts(incident)] == [ids[0], ids[2]]
        return ids

    assert len(store.write(work)) == 3
