"""Who is on call, as PagerDuty's and Opsgenie's APIs tell it.

Sources: PagerDuty REST API `GET /oncalls`; Opsgenie Schedule API `GET /v2/schedules/ID/on-calls?flat=true`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.domain.errors import ActionFailed, Category


def pagerduty_people(answer: Any) -> Sequence[str]:
    """Return the names on the lowest escalation level of `GET /oncalls`.

    Raises:
        ActionFailed: (data) the answer has another shape.
    """
    calls = answer.get("oncalls") if isinstance(answer, dict) else None
    if not isinstance(calls, list):
        raise _unreadable("PagerDuty", "oncalls")
    named = [
        (int(call.get("escalation_level") or 1), _name(call.get("user")))
        for call in calls
        if isinstance(call, dict)
    ]
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


def _unreadable(whose: str, field: str) -> ActionFailed:
    return ActionFailed(
        Category.DATA, f"{whose} answered without {field}; look at the schedule's settings"
    )
