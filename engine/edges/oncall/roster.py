"""Asks every kind of schedule who is on call, and remembers the last answer for when it cannot be asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.domain.errors import ActionFailed, Category
from engine.domain.incident import Level
from engine.edges.oncall.following import HORIZON, Next
from engine.edges.oncall.ical import people_after, people_at
from engine.edges.oncall.providers import (
    opsgenie_next,
    opsgenie_people,
    pagerduty_next,
    pagerduty_people,
)
from engine.edges.oncall.rotation import next_on_call, on_call
from engine.edges.settings.escalation import EscalationConfig, ICalConfig, ScheduleConfig
from engine.incidents.chains import Policy
from engine.incidents.escalation import OnDuty

FRESH = timedelta(minutes=2)  # for which an answer from outside counts
STALE = timedelta(hours=24)  # for which it helps out when the source cannot be asked

# (connection, path, query) to the answer's body: JSON data or text.
Fetch = Callable[[str, str, Mapping[str, Any]], Any]


@dataclass(frozen=True)
class _Answer:
    names: Sequence[str]
    at: datetime


class Roster:
    """Who is on call, by the configured schedules.

    Parameters:
        fetch: reads a document over a configured connection.
    """

    def __init__(self, config: EscalationConfig, policy: Policy, fetch: Fetch) -> None:
        self._config = config
        self._policy = policy
        self._fetch = fetch
        self._known: dict[str, _Answer] = {}
        self._lock = threading.Lock()

    def who(self, schedule: str, at: datetime) -> OnDuty:
        """Return who is on call.

        Raises:
            ActionFailed: the schedule cannot be asked, nor was it within the last 24 hours.
        """
        found = self._config.schedules.get(schedule)
        if found is None:
            raise ActionFailed(
                Category.CONFIGURATION, f"there is no schedule {schedule!r}", effect_possible=False
            )
        names, source = self._names(schedule, found, at)
        people = self._config.people
        ways = [
            way.as_json() for name in names for way in (people[name].ways if name in people else ())
        ]
        return OnDuty(tuple(names), ways, source)

    def _names(
        self, name: str, schedule: ScheduleConfig, at: datetime
    ) -> tuple[Sequence[str], str]:
        source = schedule.source
        if schedule.file is not None:
            return on_call(schedule.file, at), source
        with self._lock:
            known = self._known.get(name)
        if known is not None and timedelta() <= at - known.at < FRESH:
            return known.names, source
        try:
            names = self._ask(schedule, at)
        except ActionFailed as error:
            if known is not None and at - known.at < STALE:
                return known.names, f"{source}, as of {format_time(known.at)} ({error})"
            raise
        with self._lock:
            self._known[name] = _Answer(names, at)
        return names, source

    def _ask(self, schedule: ScheduleConfig, at: datetime) -> Sequence[str]:
        if schedule.ical is not None:
            return people_at(self._feed(schedule.ical), at)
        if schedule.pagerduty is not None:
            asked = schedule.pagerduty
            query = {"schedule_ids[]": [asked.schedule], "since": format_time(at), "earliest": True}
            return pagerduty_people(self._fetch(asked.connection, "/oncalls", query))
        assert schedule.opsgenie is not None
        path = f"/v2/schedules/{schedule.opsgenie.schedule}/on-calls"
        query = {"scheduleIdentifierType": "name", "flat": True, "date": format_time(at)}
        return opsgenie_people(self._fetch(schedule.opsgenie.connection, path, query))

    def next(self, schedule: str, at: datetime) -> Next | None:
        """Return who follows those who are on call; None: nobody does, as far as the source tells.

        Raises:
            ActionFailed: the source cannot be asked.
        """
        found = self._config.schedules[schedule]
        if found.file is not None:
            return next_on_call(found.file, at)
        if found.ical is not None:
            return people_after(self._feed(found.ical), at)
        if found.pagerduty is not None:
            asked = found.pagerduty
            query = {"schedule_ids[]": [asked.schedule], "since": format_time(at)}
            query["until"] = format_time(at + HORIZON)
            return pagerduty_next(self._fetch(asked.connection, "/oncalls", query), at)
        assert found.opsgenie is not None
        path = f"/v2/schedules/{found.opsgenie.schedule}/next-on-calls"
        given = {"scheduleIdentifierType": "name", "flat": True, "date": format_time(at)}
        return opsgenie_next(self._fetch(found.opsgenie.connection, path, given))

    def _feed(self, ical: ICalConfig) -> str:
        if ical.file is not None:
            return _text_of(ical.file)
        assert ical.connection is not None
        return str(self._fetch(ical.connection, ical.path, {}))

    def view(self, at: datetime) -> JsonObject:
        """Return `{at, schedules, chains, levels}` for people; a schedule that cannot be asked says why.

        Each schedule tells who is on call and, under `next`, who follows and when.
        """
        schedules = [self._view(name, at) for name in sorted(self._config.schedules)]
        chains = [
            {
                "chain": name,
                "repeat": chain.repeat,
                "contacts": [
                    {
                        "contact": rung.contact,
                        "title": self._policy.contacts[rung.contact].title,
                        "on_call": self._policy.contacts[rung.contact].on_call,
                        "within": rung.within,
                        "only": [str(matcher) for matcher in rung.matchers],
                    }
                    for rung in chain.rungs
                ],
            }
            for name, chain in sorted(self._policy.chains.items())
        ]
        levels = {
            level.value: {"chain": rule.chain, "first": rule.first, "step": rule.step}
            for level in Level
            if (rule := self._policy.rule(level)) is not None
        }
        return {
            "at": format_time(at),
            "schedules": schedules,
            "chains": chains,
            "levels": levels,
        }

    def _view(self, name: str, at: datetime) -> JsonObject:
        view: JsonObject = {
            "schedule": name,
            "on_call": [],
            "next": None,
            "source": None,
            "trouble": None,
        }
        try:
            duty = self.who(name, at)
            view |= {"on_call": list(duty.names), "source": duty.source}
            follows = self.next(name, at)
            view["next"] = follows.as_json() if follows is not None else None
        except ActionFailed as error:
            view["trouble"] = str(error)
        return view


def _text_of(path: Any) -> str:
    try:
        return str(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        what = f"{path} cannot be read: {error}"
        raise ActionFailed(Category.CONFIGURATION, what, effect_possible=False) from None
