"""Who comes next, and when: found from what a schedule already says of any one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time

HORIZON = timedelta(days=31)  # further ahead nobody is told


@dataclass(frozen=True)
class Next:
    """Who is on call after those who are now.

    Attributes:
        names: nobody where the schedule leaves a gap.
        at: from when; None where the source does not say.
    """

    names: Sequence[str]
    at: datetime | None

    def as_json(self) -> JsonObject:
        return {"on_call": list(self.names), "at": format_time(self.at) if self.at else None}


def following(
    who: Callable[[datetime], Sequence[str]], turns: Iterable[datetime], at: datetime
) -> Next | None:
    """Return the first change after `at`; None: those who are on call stay, as far as is known.

    Args:
        who: whom the schedule names at a moment.
        turns: the moments at which that may change.
    """
    now = list(who(at))
    for moment in sorted({turn for turn in turns if at < turn <= at + HORIZON}):
        names = who(moment)
        if list(names) != now:
            return Next(names, moment)
    return None
