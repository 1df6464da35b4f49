"""The past out of files: Alertmanager payloads as JSON Lines, read by the intake's own reader."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

from engine.domain.alert import Alert, AlertStatus
from engine.domain.clock import parse_time
from engine.domain.errors import InvalidInput
from engine.edges.intake.payload import UnreadableBody, read_delivery
from engine.incidents.backtest.past import Came

_MOST_TOLD = 5


def read_webhooks(path: Path, drop_labels: Collection[str] = ()) -> tuple[list[Came], list[str]]:
    """Return the alerts of a file of payloads, and what in it could not be read.

    Each line is a payload as Alertmanager posts it, or `{"received_at": TIME, "body": PAYLOAD}`. Without a
    time of its own an alert comes when it started, and its end when it ended.

    Raises:
        InvalidInput: the file cannot be read, or no line of it is a payload.
    """
    found: list[Came] = []
    troubles: list[str] = []
    lines = 0
    for number, line in _lines(path):
        lines += 1
        try:
            found += _payload(line, drop_labels, troubles, number)
        except InvalidInput as error:
            troubles.append(f"{path}:{number}: {error}")
    if not found and troubles:
        raise InvalidInput(f"no alert could be read: {'; '.join(troubles[:_MOST_TOLD])}")
    if not lines:
        raise InvalidInput(f"{path} is empty; write one webhook payload a line")
    return sorted(found, key=lambda one: one.at), troubles


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error


def _payload(
    line: str, drop_labels: Collection[str], troubles: list[str], number: int
) -> list[Came]:
    received: datetime | None = None
    try:
        outer = json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidInput("this line is not JSON") from None
    if isinstance(outer, dict) and "body" in outer and "alerts" not in outer:
        received = _received(outer.get("received_at"))
        line = json.dumps(outer["body"])
    try:
        delivery = read_delivery(line.encode(), drop_labels=drop_labels, max_alerts=100_000)
    except UnreadableBody as error:
        raise InvalidInput(str(error)) from None
    troubles += [f"line {number}: {one.reason}" for one in delivery.unreadable]
    return [
        Came(received or _time_of(alert), alert, delivery.group_labels) for alert in delivery.alerts
    ]


def _received(found: object) -> datetime | None:
    if found is None:
        return None
    try:
        return parse_time(str(found))
    except ValueError as error:
        raise InvalidInput(f"received_at: {error}") from None


def _time_of(alert: Alert) -> datetime:
    if alert.status is AlertStatus.RESOLVED and alert.ends_at is not None:
        return alert.ends_at
    return alert.starts_at
