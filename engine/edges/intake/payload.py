"""An Alertmanager webhook body (version 4, Alertmanager 0.25 to 0.34) to a `Delivery`. Pure.

Two kinds of mistakes are kept apart. A body that can never be read raises `UnreadableBody`: the sender
gets 400, for sending it again would not help. One bad alert in a good body becomes an `UnreadableAlert`
with its reason, and the others are accepted. Unknown fields are ignored, missing ones tolerated where
nothing rests on them: an alert's status, labels and startsAt are its identity and are never guessed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime

import orjson

from engine.domain.alert import Alert, AlertStatus, Delivery, UnreadableAlert
from engine.domain.canonical import Json, JsonObject, canonical_json
from engine.domain.clock import parse_time
from engine.domain.errors import InvalidInput
from engine.edges.intake.fingerprint import fingerprint

VERSION = "4"
MAX_LABELS = 256
MAX_NAME = 1024
MAX_VALUE = 16_384
MAX_ANNOTATION = 65_536
MAX_RAW = 4096  # how much of an unreadable alert is kept for show
_NEVER = 1  # Alertmanager writes "no end" as the year 1
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_LARGEST = 2**63 - 1
_EXTRA = ("status", "commonLabels", "notification_reason", "routeLabels")


class UnreadableBody(InvalidInput):
    """The whole body can never be read; the message says what was found and what was expected."""


class _Unreadable(Exception):
    """Why one alert cannot be read."""


def read_delivery(
    raw: bytes, *, drop_labels: Collection[str] = (), max_alerts: int = 1000
) -> Delivery:
    """Return the delivery that `raw` holds.

    Parameters:
        drop_labels: names of labels that differ between replicas of one sender. They are removed, and
            the fingerprint of an alert that had one is computed anew, so that replicas agree.
        max_alerts: the first so many are kept, the others counted in `over_limit`.

    Raises:
        UnreadableBody: not JSON, not an object, another version, or `alerts` is no list.
    """
    body = _parse(raw)
    if not isinstance(body, dict):
        raise UnreadableBody(f"the body is {_kind(body)}; expected an object with alerts")
    version = body.get("version", VERSION)
    if str(version) != VERSION:
        shown = _clean(str(version))[:40]
        raise UnreadableBody(f'the payload has version "{shown}"; only "{VERSION}" can be read')
    items = body.get("alerts")
    if not isinstance(items, list):
        found = "is missing" if "alerts" not in body else f"is {_kind(items)}"
        raise UnreadableBody(f"alerts {found}; expected a list")
    dropped = frozenset(drop_labels)
    alerts: list[Alert] = []
    unreadable: list[UnreadableAlert] = []
    for item in items[:max_alerts]:
        try:
            alerts.append(_alert(item, dropped))
        except _Unreadable as problem:
            unreadable.append(UnreadableAlert(str(problem), _keep(item)))
    return Delivery(
        receiver=_text(body.get("receiver")),
        group_key=_text(body.get("groupKey")),
        group_labels=_group_labels(body.get("groupLabels"), dropped),
        external_url=_text(body.get("externalURL")),
        alerts=tuple(alerts),
        unreadable=tuple(unreadable),
        truncated=_count(body.get("truncatedAlerts")),
        over_limit=max(0, len(items) - max_alerts),
        extra={key: _cleaned(body[key]) for key in _EXTRA if key in body},
    )


def _parse(raw: bytes) -> Json:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as fast:
        # orjson refuses a whole body for one lone surrogate or one huge number; the standard parser
        # reads on, so that only the alert that holds it is concerned.
        try:
            return json.loads(raw.decode("utf-8-sig"), parse_constant=_no_constant)
        except UnicodeDecodeError as error:
            raise UnreadableBody(f"the body is not UTF-8 (byte {error.start})") from error
        except RecursionError as error:
            raise UnreadableBody("the body is nested too deeply") from error
        except ValueError as error:
            raise UnreadableBody(f"the body is not JSON: {_clean(str(fast))[:200]}") from error


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _alert(item: Json, dropped: frozenset[str]) -> Alert:
    if not isinstance(item, dict):
        raise _Unreadable(f"the alert is {_kind(item)}; expected an object")
    status = _status(item)
    labels = _labels(item)
    starts_at = _time(item, "startsAt")
    sent = item.get("fingerprint")
    kept = {name: value for name, value in labels.items() if name not in dropped}
    if not kept:
        raise _Unreadable("labels are empty once drop_labels are removed; nothing identifies it")
    if len(kept) == len(labels) and isinstance(sent, str) and 0 < len(sent) <= MAX_NAME:
        identity = _clean(sent)
    else:
        identity = fingerprint(kept)
    return Alert(
        fingerprint=identity,
        status=status,
        labels={_clean(name): _clean(value) for name, value in kept.items()},
        annotations=_annotations(item.get("annotations")),
        starts_at=starts_at,
        ends_at=_ends_at(item) if status is AlertStatus.RESOLVED else None,
        generator_url=_text(item.get("generatorURL")),
    )


def _status(item: JsonObject) -> AlertStatus:
    found = item.get("status")
    if found == "firing":
        return AlertStatus.FIRING
    if found == "resolved":
        return AlertStatus.RESOLVED
    # The group's status is no stand-in: it says "firing" as soon as one of its alerts does.
    shown = "is missing" if found is None else f"is {_show(found)}"
    raise _Unreadable(f'status {shown}; expected "firing" or "resolved"')


def _labels(item: JsonObject) -> dict[str, str]:
    labels = item.get("labels")
    if not isinstance(labels, dict):
        found = "are missing" if labels is None else f"are {_kind(labels)}"
        raise _Unreadable(f"labels {found}; expected an object of texts")
    if len(labels) > MAX_LABELS:
        raise _Unreadable(f"it has {len(labels)} labels; at most {MAX_LABELS} are read")
    for name, value in labels.items():
        if not isinstance(value, str):
            raise _Unreadable(f"label {_show(name)} is {_kind(value)}; expected a text")
        if len(name) > MAX_NAME or len(value) > MAX_VALUE:
            raise _Unreadable(
                f"label {_show(name)} is {max(len(name), len(value))} characters long; at most "
                f"{MAX_NAME} of a name and {MAX_VALUE} of a value are read"
            )
    # An empty value means "no such label" to Prometheus; left in, it would split the fingerprint.
    return {name: value for name, value in labels.items() if value}


def _annotations(found: Json) -> dict[str, str]:
    """Annotations are for people and decide nothing by themselves: what is odd in them is kept as text."""
    if not isinstance(found, dict):
        return {}
    kept: dict[str, str] = {}
    for name, value in list(found.items())[:MAX_LABELS]:
        text = value if isinstance(value, str) else _dump(value)
        kept[_clean(name[:MAX_NAME])] = _clean(text[:MAX_ANNOTATION])
    return kept


def _time(item: JsonObject, field: str) -> datetime:
    found = item.get(field)
    if not isinstance(found, str):
        shown = "is missing" if found is None else f"is {_kind(found)}"
        raise _Unreadable(f"{field} {shown}; expected an RFC 3339 time")
    try:
        return parse_time(found)
    except (ValueError, OverflowError) as error:
        raise _Unreadable(f"{field} is {_show(found)}; expected an RFC 3339 time") from error


def _ends_at(item: JsonObject) -> datetime | None:
    try:
        ends_at = _time(item, "endsAt")
    except _Unreadable:
        return None  # nothing rests on it: the status says that the alert has ended
    return None if ends_at.year == _NEVER else ends_at


def _group_labels(found: Json, dropped: frozenset[str]) -> Mapping[str, str]:
    if not isinstance(found, dict):
        return {}
    return {
        _clean(name[:MAX_NAME]): _clean(value[:MAX_VALUE])
        for name, value in list(found.items())[:MAX_LABELS]
        if isinstance(value, str) and name not in dropped
    }


def _count(found: Json) -> int:
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0


def _text(found: Json) -> str:
    return _clean(found[:MAX_VALUE]) if isinstance(found, str) else ""


def _clean(text: str) -> str:
    """Replace NUL, which PostgreSQL cannot hold, and lone surrogates, which UTF-8 cannot."""
    if text.isascii():
        return text.replace("\0", _REPLACEMENT) if "\0" in text else text
    text = text.replace("\0", _REPLACEMENT)
    return "".join(_REPLACEMENT if "\ud800" <= c <= "\udfff" else c for c in text)


def _cleaned(value: Json) -> Json:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {_clean(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, int | float) and not -_LARGEST <= value <= _LARGEST:
        return str(value)  # 1e999 and its like: JSON text, but no number that every store holds
    return value


def _keep(item: Json) -> JsonObject | str:
    """What of an unreadable alert is kept for people: the object where it is small, else its beginning."""
    cleaned = _cleaned(item)
    text = _dump(cleaned)
    if isinstance(cleaned, dict) and len(text) <= MAX_RAW:
        kept: JsonObject = cleaned
        return kept
    return text[:MAX_RAW]


def _dump(value: Json) -> str:
    try:
        return canonical_json(value)
    except (ValueError, RecursionError):  # an infinity out of 1e999, or a depth of its own
        return "(a value that cannot be shown)"


def _show(value: Json) -> str:
    text = _clean(_dump(value))
    return text if len(text) <= 60 else text[:57] + "..."


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a text"}
    return names.get(type(value)) or ("a list" if isinstance(value, list) else "an object")
