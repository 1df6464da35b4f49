"""Time as a port: the system's clock in production, a clock that tests and rehearsals move."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where the engine reads the time. `now` is aware and in UTC; `monotonic` and `sleep` are in seconds."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ManualClock:
    """A clock that stands still until it is moved; `sleep` moves it. Safe to share between threads."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 1, 1, tzinfo=UTC)
        self._monotonic = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        with self._lock:
            return self._monotonic

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`; a negative number is a wall clock set back, which `monotonic` ignores."""
        with self._lock:
            self._now += timedelta(seconds=seconds)
            self._monotonic += max(0.0, seconds)


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time into an aware UTC datetime.

    Raises:
        ValueError: the text is no such time or names no zone.
    """
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone; write for example 2026-11-23T03:15:00Z")
    return value.astimezone(UTC)


def format_time(value: datetime) -> str:
    """Write a time as RFC 3339 in UTC with a trailing Z, to the microsecond where it has any."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.isoformat()[: -len("+00:00")] + "Z"


def expired(at: datetime | None, seconds: float | None, now: datetime) -> bool:
    """Whether `seconds` have passed since `at`."""
    return at is not None and seconds is not None and now >= at + timedelta(seconds=seconds)


def spell(seconds: float) -> str:
    """Write seconds as people write them: `90s` is `1m30s`, `7200` is `2h`."""
    rest = round(seconds)
    if rest <= 0:
        return f"{seconds:g}s"
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts[:2])
