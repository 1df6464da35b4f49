"""Bodies as Alertmanager sends them, and bodies as nobody should."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.alert import AlertStatus, Delivery
from engine.domain.canonical import canonical_json
from engine.edges.intake.fingerprint import fingerprint
from engine.edges.intake.payload import MAX_RAW, UnreadableBody, read_delivery

PAYLOADS = Path(__file__).parent / "payloads"


def alert(**changes: Any) -> dict[str, Any]:
    good: dict[str, Any] = {
        "status": "firing",
        "labels": {"alertname": "Down", "instance": "a"},
        "annotations": {"summary": "it is down"},
        "startsAt": "2026-11-23T03:15:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": "abc",
    }
    good.update(changes)
    return {key: value for key, value in good.items() if value is not ...}


def body(*alerts: Any, **changes: Any) -> bytes:
    whole = {"version": "4", "receiver": "stanch", "groupKey": "{}", "alerts": list(alerts)}
    whole.update(changes)
    return json.dumps(whole).encode()


def the_reason(item: Any) -> str:
    delivery = read_delivery(body(item, alert()))
    assert len(delivery.alerts) == 1, "the good alert beside it must be accepted"
    assert len(delivery.unreadable) == 1
    return delivery.unreadable[0].reason


@pytest.mark.parametrize("version", ["0.25", "0.27", "0.34"])
def test_what_alertmanager_really_sends(version: str) -> None:
    delivery = read_delivery((PAYLOADS / f"alertmanager-{version}.json").read_bytes())
    assert delivery.receiver == "stanch"
    assert delivery.group_labels == {
        "alertname": "StarforgeETLFailureRateHigh",
        "namespace": "starforge",
    }
    resolved, firing = delivery.alerts
    assert delivery.unreadable == ()
    assert resolved.status is AlertStatus.RESOLVED
    assert resolved.ends_at == datetime(2026, 11, 23, 0, 38, 46, tzinfo=UTC)
    assert resolved.fingerprint == "2d8f481287ae99b6"
    assert firing.status is AlertStatus.FIRING
    assert firing.ends_at is None
    assert firing.starts_at == datetime(2026, 11, 23, 0, 38, 44, 141740, tzinfo=UTC)
    assert firing.name == "StarforgeETLFailureRateHigh"


def test_truncated_alerts_and_new_fields_are_kept() -> None:
    truncated = read_delivery((PAYLOADS / "alertmanager-0.27.json").read_bytes())
    assert truncated.truncated == 3
    newer = read_delivery((PAYLOADS / "alertmanager-0.34.json").read_bytes())
    assert newer.extra["notification_reason"] == "new alerts in group"
    assert newer.extra["routeLabels"] == {"team": "data"}
    assert newer.alerts[1].annotations == {"summary": "ETL jobs fail: {{ 7 * 7 }} of them"}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b'{"alerts": [NaN]}', "the body is not JSON"),
        (b"\xff\xfe{}", "the body is not UTF-8 (byte 0)"),
        (b"[]", "the body is a list; expected an object with alerts"),
        (b"null", "the body is null; expected an object with alerts"),
        (b'"text"', "the body is a text; expected an object with alerts"),
        (b'{"version": "3", "alerts": []}', 'the payload has version "3"; only "4" can be read'),
        (b'{"version": null, "alerts": []}', 'version "None"'),
        (b'{"version": "4"}', "alerts is missing; expected a list"),
        (b'{"version": "4", "alerts": null}', "alerts is null; expected a list"),
        (b'{"version": "4", "alerts": {}}', "alerts is an object; expected a list"),
        (b"[" * 100_000, "the body is nested too deeply"),
    ],
)
def test_a_body_that_can_never_be_read(raw: bytes, message: str) -> None:
    with pytest.raises(UnreadableBody) as caught:
        read_delivery(raw)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (None, "the alert is null; expected an object"),
        (["x"], "the alert is a list; expected an object"),
        (alert(status=...), 'status is missing; expected "firing" or "resolved"'),
        (alert(status="Firing"), 'status is "Firing"; expected "firing" or "resolved"'),
        (alert(labels=...), "labels are missing; expected an object of texts"),
        (alert(labels=[]), "labels are a list; expected an object of texts"),
        (alert(labels={}), "labels are empty once drop_labels are removed"),
        (alert(labels={"a": 1}), 'label "a" is a number; expected a text'),
        (alert(labels={"a": None}), 'label "a" is null; expected a text'),
        (alert(labels={"a": True}), 'label "a" is a boolean; expected a text'),
        (alert(labels={"a": "x" * 20_000}), 'label "a" is 20000 characters long'),
        (alert(labels={f"l{n}": "x" for n in range(300)}), "it has 300 labels"),
        (alert(startsAt=...), "startsAt is missing; expected an RFC 3339 time"),
        (alert(startsAt=5), "startsAt is a number; expected an RFC 3339 time"),
        (alert(startsAt="yesterday"), 'startsAt is "yesterday"; expected an RFC 3339 time'),
        (alert(startsAt="2026-11-23T03:15:00"), "expected an RFC 3339 time"),
        (alert(startsAt="0001-01-01T00:00:00+14:00"), "expected an RFC 3339 time"),
    ],
)
def test_one_bad_alert_is_kept_with_its_reason(item: Any, reason: str) -> None:
    assert reason in the_reason(item)


@pytest.mark.parametrize("ends_at", [..., None, "", "soon", "0001-01-01T00:00:00Z", 7])
def test_an_odd_end_does_not_lose_the_alert(ends_at: Any) -> None:
    (read,) = read_delivery(body(alert(status="resolved", endsAt=ends_at))).alerts
    assert read.ends_at is None


def test_an_alert_needs_only_its_identity() -> None:
    bare = {"status": "firing", "labels": {"alertname": "Down"}, "startsAt": "2026-01-01T00:00:00Z"}
    (read,) = read_delivery(json.dumps({"alerts": [bare], "later": [1]}).encode()).alerts
    assert read.fingerprint == fingerprint({"alertname": "Down"})
    assert read.annotations == {}


def test_fingerprints_equal_those_of_alertmanager() -> None:
    labels = {
        "alertname": "StarforgeETLFailureRateHigh",
        "namespace": "starforge",
        "pod": "etl-2",
        "replica": "a",
        "severity": "critical",
    }
    assert fingerprint(labels) == "56649a2a0213c036"  # as Alertmanager 0.25 sent it
    assert fingerprint(dict(reversed(labels.items()))) == "56649a2a0213c036"
    assert fingerprint({}) == "cbf29ce484222325"  # FNV-1a's own offset


def test_replicas_agree_once_their_labels_are_dropped() -> None:
    one = alert(labels={"alertname": "Down", "replica": "a"}, fingerprint="1")
    two = alert(labels={"alertname": "Down", "replica": "b"}, fingerprint="2")
    without = alert(labels={"alertname": "Down"}, fingerprint=fingerprint({"alertname": "Down"}))
    delivery = read_delivery(
        body(one, two, without, groupLabels={"replica": "a", "alertname": "Down"}),
        drop_labels=["replica"],
    )
    assert {read.fingerprint for read in delivery.alerts} == {fingerprint({"alertname": "Down"})}
    assert all(read.labels == {"alertname": "Down"} for read in delivery.alerts)
    assert delivery.group_labels == {"alertname": "Down"}


def test_over_the_limit_the_first_are_kept_and_the_loss_is_counted() -> None:
    many = [alert(fingerprint=str(n)) for n in range(7)]
    delivery = read_delivery(body(*many), max_alerts=5)
    assert [read.fingerprint for read in delivery.alerts] == ["0", "1", "2", "3", "4"]
    assert delivery.over_limit == 2


@pytest.mark.parametrize("value", [-1, True, "3", None, 1.5])
def test_an_odd_count_of_truncated_alerts_is_none(value: Any) -> None:
    assert read_delivery(body(truncatedAlerts=value)).truncated == 0


def test_nul_and_lone_surrogates_are_replaced() -> None:
    raw = body(
        alert(labels={"alertname": "a\0b"}, annotations={"s\0": "\ud800x\0", "n": 5, "e": "é\0"}),
        alert(labels={"alertname": 1, "s": "\ud800\0"}),
    )
    delivery = read_delivery(raw)
    assert delivery.alerts[0].labels == {"alertname": "a\ufffdb"}
    assert delivery.alerts[0].annotations == {"s\ufffd": "\ufffdx\ufffd", "n": "5", "e": "é\ufffd"}
    kept = canonical_json(delivery.unreadable[0].raw)
    assert "\ufffd" in kept
    assert "\\u0000" not in kept
    kept.encode()  # no lone surrogate is left


def test_a_large_unreadable_alert_is_kept_in_part() -> None:
    delivery = read_delivery(body(alert(labels={"a": 1, "b": "x" * 9000})))
    assert isinstance(delivery.unreadable[0].raw, str)
    assert len(delivery.unreadable[0].raw) == MAX_RAW


def test_numbers_that_no_store_holds_are_kept_as_text() -> None:
    raw = b'{"version": 4, "commonLabels": {"n": 1e999}, "alerts": [{"labels": {"a": 1e999}}]}'
    delivery = read_delivery(raw)
    assert delivery.extra == {"commonLabels": {"n": "inf"}}
    assert delivery.unreadable[0].raw == {"labels": {"a": "inf"}}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(["status", "labels", "annotations", "startsAt", "endsAt", "fingerprint"])
ALMOST = st.dictionaries(FIELDS, JSON | st.just(...), max_size=2).map(lambda c: alert(**c))


def everything(delivery: Delivery) -> Any:
    return [
        [read.as_json() for read in delivery.alerts],
        [[bad.reason, bad.raw] for bad in delivery.unreadable],
        [delivery.receiver, delivery.group_key, dict(delivery.group_labels), delivery.extra],
    ]


@settings(max_examples=200, deadline=None)
@given(st.lists(ALMOST | JSON, max_size=4), st.dictionaries(st.text(), JSON, max_size=3))
def test_whatever_comes_is_accepted_or_kept_with_a_reason(items: list[Any], more: Any) -> None:
    more = {key: value for key, value in more.items() if key not in ("alerts", "version")}
    delivery = read_delivery(body(*items, **more))
    assert len(delivery.alerts) + len(delivery.unreadable) == len(items)
    canonical_json(everything(delivery)).encode()  # can be stored


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_makes_it_crash(raw: bytes) -> None:
    with contextlib.suppress(UnreadableBody):
        read_delivery(raw)
