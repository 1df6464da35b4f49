"""Who is on call, as PagerDuty's and Opsgenie's APIs tell it.

Sources: PagerDuty REST API `GET /oncalls`; Opsgenie Schedule API `GET /v2/schedules/ID/on-calls?flat=true` and
`…/next-on-calls?flat=true`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from engine.domain.clock import parse_time
from engine.domain.errors import ActionFailed, Category
from engine.edges.oncall.following import HORIZON, Next, following


def pagerduty_people(answer: Any) -> Sequence[str]:
    """Return the names on the lowest escalation level of `GET /oncalls`.

    Raises:
        ActionFailed: (data) the answer has another shape.
    """
    calls = answer.get("oncalls") if isinstance(answer, dict) else None
    if not isinstance(calls, list):
        raise _unreadable("PagerDuty", "oncalls")
    return _first_level([call for call in calls if isinstance(call, dict)])


def pagerduty_next(answer: Any, at: datetime) -> Next | None:
    """Return who follows, of `GET /oncalls` between now and later, whose entries say from when to when.

    Raises:
        ActionFailed: (data) the answer has another shape.
    """
    calls = answer.get("oncalls") if isinstance(answer, dict) else None
    if not isinstance(calls, list):
        raise _unreadable("PagerDuty", "oncalls")
    shifts = [
        (_moment(call.get("start"), at), _moment(call.get("end"), at + 2 * HORIZON), call)
        for call in calls
        if isinstance(call, dict)
    ]

    def who(moment: datetime) -> Sequence[str]:
        return _first_level([call for start, end, call in shifts if start <= moment < end])

    return following(who, [moment for start, end, _ in shifts for moment in (start, end)], at)


def _moment(text: Any, missing: datetime) -> datetime:
    """An entry without a start or an end lasts for ever."""
    try:
        return parse_time(str(text)) if text else missing
    except ValueError:
        raise _unreadable("PagerDuty", "times that can be read") from None


def _first_level(calls: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    named = [(int(call.get("escalation_level") or 1), _name(call.get("user"))) for call in calls]
    known = [(level, name) for level, name in named if name]
    if not known:
        return ()
    first = min(level for level, _ in known)
    return tuple(dict.fromkeys(name for level, name in known if level == first))


def _name(user: Any) -> str:
    if not isinstance(user, dict):
        return ""
    return str(user.get("email") or user.get("name") or user.get("summary") or "")


def opsgenie_people(answer: Any) -> Sequence[str]:
    """Return the recipients of a flat on-call answer.

    Raises:
        ActionFailed: (data) the answer has another shape.
    """
    data = answer.get("data") if isinstance(answer, dict) else None
    people = data.get("onCallRecipients") if isinstance(data, dict) else None
    if not isinstance(people, list):
        raise _unreadable("Opsgenie", "data.onCallRecipients")
    return tuple(dict.fromkeys(str(name) for name in people if name))


def opsgenie_next(answer: Any) -> Next | None:
    """Return who follows, of a flat answer to `next-on-calls`, which does not say when.

    Raises:
        ActionFailed: (data) the answer has another shape.
    """
    data = answer.get("data") if isinstance(answer, dict) else None
    people = data.get("exactNextOnCallRecipients") if isinstance(data, dict) else None
    if not isinstance(people, list):
        raise _unreadable("Opsgenie", "data.exactNextOnCallRecipients")
    names = tuple(dict.fromkeys(str(name) for name in people if name))
    return Next(names, None) if names else None


def _unreadable(whose: str, field: str) -> ActionFailed:
    return ActionFailed(
        Category.DATA, f"{whose} answered without {field}; look at the schedule's settings"
    )
