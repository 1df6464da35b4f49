"""Times as the server writes them."""

from __future__ import annotations

from datetime import UTC, datetime

from engine.domain.clock import parse_time


def stamp(moment: datetime) -> str:
    """Write a time to the second: `2026-11-22T05:20:18Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fine_stamp(moment: datetime) -> str:
    """Write a time to the microsecond, as events and log lines carry it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_stamp(text: str) -> datetime:
    return parse_time(text)
