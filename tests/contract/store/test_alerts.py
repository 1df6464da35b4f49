"""Deliveries are stored once, whatever is delivered again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from engine.domain.alert import Alert, AlertStatus, UnreadableAlert
from engine.journal.database import Database
from engine.journal.rows import Page
from tests.contract.store.conftest import START, Place, alert, delivery


def test_a_delivery_is_new_once_by_fingerprint_start_and_status(store: Database) -> None:
    def accept(*alerts: Alert) -> Sequence[tuple[str, bool]]:
        return store.write(lambda tx: tx.alerts.accept(delivery(*alerts)))

    ((first, new),) = accept(alert())
    assert new
    assert accept(alert()) == [(first, False)]
    ((resolved, new),) = accept(alert(status=AlertStatus.RESOLVED))
    assert new
    assert resolved != first
    ((later, new),) = accept(alert(starts_at=START + timedelta(microseconds=1)))
    assert new
    assert later not in {first, resolved}
    row = store.read(lambda tx: tx.alerts.get(first))
    assert row is not None
    assert row.alert == alert()
    assert (row.receiver, row.group_key, row.group_labels) == ("stanch", "{}:{}", {"job": "etl"})
    assert (row.deliveries, row.decided) == (2, False)
    assert store.read(lambda tx: tx.alerts.get("alert-nowhere")) is None


def test_the_same_alert_twice_in_one_delivery_is_new_once(store: Database) -> None:
    answer = store.write(lambda tx: tx.alerts.accept(delivery(alert(), alert(), alert("f2"))))
    assert [new for _, new in answer] == [True, False, True]


def test_undecided_alerts_come_oldest_first_until_marked(store: Database) -> None:
    ids = [
        alert_id
        for name in "abc"
        for alert_id, _ in store.write(
            lambda tx, name=name: tx.alerts.accept(delivery(alert(name)))  # type: ignore[misc]
        )
    ]
    assert [r.id for r in store.write(lambda tx: tx.alerts.undecided(2))] == ids[:2]
    assert [r.id for r in store.read(lambda tx: tx.alerts.undecided(9))] == ids
    store.write(lambda tx: tx.alerts.mark_decided([ids[0], ids[2]]))
    assert [r.id for r in store.write(lambda tx: tx.alerts.undecided(9))] == [ids[1]]
    assert store.write(lambda tx: tx.alerts.claim(ids)) == {ids[1]}
    row = store.read(lambda tx: tx.alerts.get(ids[0]))
    assert row is not None
    assert row.decided


def test_what_waits_is_looked_at_ahead_once(store: Database) -> None:
    ids = [
        alert_id
        for alert_id, _ in store.write(lambda tx: tx.alerts.accept(delivery(*map(alert, "abcd"))))
    ]
    store.write(lambda tx: tx.alerts.mark_decided([ids[1]]))
    rows, seen = store.read(lambda tx: tx.alerts.ahead(0, 2))
    assert [row.id for row in rows] == [ids[0], ids[2]]
    rows, seen = store.read(lambda tx: tx.alerts.ahead(seen, 2))
    assert [row.id for row in rows] == [ids[3]]
    assert store.read(lambda tx: tx.alerts.ahead(seen, 2)) == ([], seen)


def test_lists_are_newest_first_by_pages_and_by_labels(store: Database) -> None:
    for name in ("a", "b", "c"):
        store.write(
            lambda tx, name=name: tx.alerts.accept(  # type: ignore[misc]
                delivery(alert(name, team='q"\\', zone="1" if name == "a" else "2"))
            )
        )
    rows = store.read(lambda tx: tx.alerts.list(Page()))
    assert [row.alert.fingerprint for row in rows] == ["c", "b", "a"]
    page = store.read(lambda tx: tx.alerts.list(Page(1, before=rows[0].id)))
    assert [row.alert.fingerprint for row in page] == ["b"]

    def named(**labels: str) -> list[str]:
        found = store.read(lambda tx: tx.alerts.list(Page(), labels=labels))
        return [row.alert.fingerprint for row in found]

    assert named(team='q"\\', zone="2") == ["c", "b"]
    assert named(zone="1") == ["a"]
    assert named(one="1") == []
    assert named(zone="") == []


def test_what_cannot_be_read_or_was_cut_is_kept_to_be_shown(store: Database) -> None:
    store.write(lambda tx: tx.alerts.accept(delivery(alert())))
    assert store.read(lambda tx: tx.alerts.deliveries(Page())) == []
    bad = UnreadableAlert("no startsAt", {"labels": {"a": "\ud800"}})
    store.write(lambda tx: tx.alerts.accept(delivery(unreadable=(bad,), truncated=3, over_limit=2)))
    (row,) = store.read(lambda tx: tx.alerts.deliveries(Page()))
    assert (row.truncated, row.over_limit, row.receiver) == (3, 2, "stanch")
    assert row.unreadable == ({"reason": "no startsAt", "raw": {"labels": {"a": "\ud800"}}},)


def test_text_that_databases_refuse_is_kept_all_the_same(store: Database) -> None:
    odd = alert("f\x00\ud800", note="nul \x00, half \udfff, heart \u2665")
    ((alert_id, new),) = store.write(lambda tx: tx.alerts.accept(delivery(odd)))
    assert new
    assert store.write(lambda tx: tx.alerts.accept(delivery(odd))) == [(alert_id, False)]
    row = store.read(lambda tx: tx.alerts.get(alert_id))
    assert row is not None
    assert row.alert.labels["note"] == "nul \x00, half \udfff, heart \u2665"
    assert row.alert.fingerprint == "f\ufffd\ufffd"


def test_resolved_and_last_received(place: Place, store: Database) -> None:
    store.write(lambda tx: tx.alerts.accept(delivery(alert())))
    assert not store.read(lambda tx: tx.alerts.is_resolved("f1", START))
    first = store.read(lambda tx: tx.alerts.last_received("Down"))
    assert first is not None
    place.advance(60)
    store.write(lambda tx: tx.alerts.accept(delivery(alert())))  # only a redelivery: it came
    last = store.read(lambda tx: tx.alerts.last_received("Down"))
    assert last is not None
    assert last - first >= timedelta(seconds=60)
    store.write(lambda tx: tx.alerts.accept(delivery(alert(status=AlertStatus.RESOLVED))))
    assert store.read(lambda tx: tx.alerts.is_resolved("f1", START))
    assert not store.read(lambda tx: tx.alerts.is_resolved("f2", START))
    assert store.read(lambda tx: tx.alerts.last_received("Watchdog")) is None
