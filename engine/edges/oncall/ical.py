"""A calendar feed (iCalendar, RFC 5545): who is on call are the people of the events that last just now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from engine.domain.errors import ActionFailed, Category
from engine.edges.oncall.following import HORIZON, Next, following

LARGEST = 4 * 2**20  # characters of a feed


def people_at(text: str, at: datetime) -> Sequence[str]:
    """Return who is on call at a time: each event's attendees, or its title where it has none.

    Recurring events, their exceptions and moved instances count as calendars show them. An event that is
    cancelled or marked as free does not count.

    Raises:
        ActionFailed: (data) the text is no calendar.
    """
    second = timedelta(seconds=1)
    return _people_at(_events(text, at - second, at + second), at)


def people_after(text: str, at: datetime) -> Next | None:
    """Return who follows those who are on call. Raises: as `people_at`."""
    events = _events(text, at - timedelta(seconds=1), at + HORIZON)
    turns = [moment for event in events for moment in (_begins(event), _instant(event.end))]
    return following(lambda moment: _people_at(events, moment), turns, at)


def _people_at(events: Sequence[Any], at: datetime) -> Sequence[str]:
    lasting = sorted((event for event in events if _lasts(event, at)), key=_begins)
    return tuple(dict.fromkeys(name for event in lasting for name in _people(event)))


def _events(text: str, start: datetime, end: datetime) -> Sequence[Any]:
    if len(text) > LARGEST:
        raise ActionFailed(Category.DATA, f"the calendar is larger than {LARGEST:,} characters")
    import icalendar
    import recurring_ical_events  # type: ignore[import-untyped]

    try:
        calendar = icalendar.Calendar.from_ical(text)
        found: list[Any] = recurring_ical_events.of(calendar).between(start, end)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ActionFailed(
            Category.DATA, f"this is no calendar that can be read: {error}"
        ) from None
    return found


def _lasts(event: Any, at: datetime) -> bool:
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        return False
    if str(event.get("TRANSP", "")).upper() == "TRANSPARENT":
        return False
    return _begins(event) <= at < _instant(event.end)


def _begins(event: Any) -> datetime:
    return _instant(event.start)


def _instant(value: date | datetime) -> datetime:
    """A day without a time begins at midnight UTC; so does a time without a zone count as UTC."""
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _people(event: Any) -> Iterator[str]:
    found = event.get("ATTENDEE", [])
    attendees = found if isinstance(found, list) else [found]
    if not attendees:
        title = str(event.get("SUMMARY", "")).strip()
        if title:
            yield title
        return
    for attendee in attendees:
        name = str(attendee.params.get("CN", "")) if hasattr(attendee, "params") else ""
        yield name or str(attendee).removeprefix("mailto:").removeprefix("MAILTO:")
