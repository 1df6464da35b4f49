"""Schedules: cron text and APScheduler's fields, checked, and the pure question of when one fires next.

Weekdays go by name in fields, since APScheduler counts from Monday and cron from Sunday; numbers in a
cron text are cron's and are translated. A zone's missing hour fires an hour later, a doubled hour twice,
as APScheduler's documentation says of its cron trigger.
"""

from __future__ import annotations

import functools
import re
import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from engine.language.problems import BadText, did_you_mean, shown
from engine.language.rules import Schedule

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

FIELDS = ("year", "month", "day", "week", "day_of_week", "hour", "minute", "second")
_LIMITS = {
    "year": (1970, 9999),
    "month": (1, 12),
    "day": (1, 31),
    "week": (1, 53),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
}
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CRON_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = tuple("jan feb mar apr may jun jul aug sep oct nov dec".split())  # noqa: SIM905
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * sun",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_CRON_ORDER = ("minute", "hour", "day", "month", "day_of_week")
_CRON_HINT = 'write minute, hour, day, month and weekday, for example "0 2 * * sun"'
_PART = re.compile(r"(?:\*|([0-9]{1,4})(?:-([0-9]{1,4}))?)(?:/([0-9]{1,4}))?")
_POSITION = re.compile(r"(?:1st|2nd|3rd|4th|5th|last) +(\w+)", re.IGNORECASE)
_NEVER = timedelta(hours=3)  # no zone repeats more than this when its clocks go back


class ScheduleError(BadText):
    """A schedule cannot be read or would never fire."""


# ---- cron text ------------------------------------------------------------------------------------


def cron_fields(text: str) -> dict[str, str]:
    """Return the CronTrigger fields of a cron text of five fields, or of `@hourly` and its like.

    Raises:
        ScheduleError: it is no such text; where both day and weekday are given (cron means either,
            a trigger means both); where it would never fire.
    """
    words = [(m.group(), m.start()) for m in re.finditer(r"\S+", text)]
    if len(words) == 1 and text.strip().startswith("@"):
        macro = text.strip().lower()
        if macro not in _MACROS:
            hint = did_you_mean(macro, _MACROS) or f"known are {', '.join(_MACROS)}"
            raise ScheduleError(f"{shown(text)} is no schedule", offset=words[0][1], hint=hint)
        return cron_fields(_MACROS[macro])
    if len(words) != 5:
        message = f"a cron text has 5 fields, this has {len(words)}"
        hint = (
            "seconds and years go as fields: {hour: 2, second: 30}"
            if len(words) > 5
            else _CRON_HINT
        )
        raise ScheduleError(message, hint=hint)
    fields = {}
    for name, (word, offset) in zip(_CRON_ORDER, words, strict=True):
        try:
            fields[name] = (
                _cron_weekdays(word) if name == "day_of_week" else _cron_field(name, word)
            )
        except ScheduleError as error:
            raise ScheduleError(error.message, offset=offset, hint=error.hint) from None
    if not words[2][0].startswith("*") and not words[4][0].startswith("*"):
        hint = 'write two rules, or fields such as {day: "1st sun"}'
        message = "both day and weekday are given, which cron takes as either"
        raise ScheduleError(message, offset=words[2][1], hint=hint)
    return checked_fields(fields)


def _cron_field(name: str, word: str) -> str:
    lowered = word.lower()
    if name == "month":
        lowered = re.sub(r"[a-z]+", lambda m: _month(m.group()), lowered)
    for part in lowered.split(","):
        if not _PART.fullmatch(part):
            raise _not_cron(name, part)
    return lowered


def _month(word: str) -> str:
    if word not in _MONTHS:
        raise ScheduleError(f"{word} is no month", hint=f"write one of {', '.join(_MONTHS)}")
    return str(_MONTHS.index(word) + 1)


def _not_cron(name: str, part: str) -> ScheduleError:
    hint = f"write *, a number, a range a-b, or a step such as */5 for the {name}"
    if name == "weekday":
        hint = "write *, names from sun to sat, or numbers from 0 (sun) to 6"
    elif part == "?":
        hint = "write *"
    if re.fullmatch(r"[0-9]*[lw]|\w+#[0-9]", part.lower()):
        hint = "write it as fields, for example {day: last} or {day: 1st sun}"
    return ScheduleError(f"{shown(part)} is no {name} of a cron text", hint=hint)


def _cron_weekdays(word: str) -> str:
    """Translate cron's weekdays, numbers from Sunday 0 (and 7), into names."""
    if word == "*":
        return "*"
    chosen: set[str] = set()
    for part in word.lower().split(","):
        match = re.fullmatch(r"(\*|(\w+)(?:-(\w+))?)(?:/([0-9]{1,2}))?", part)
        if match is None:
            raise _not_cron("weekday", part)
        whole, first, last, step = match.groups()
        low = 0 if whole == "*" else _cron_day(first, part)
        high = 6 if whole == "*" or (step and last is None) else low
        if last is not None:
            high = _cron_day(last, part)
            high = 7 if high == 0 else high  # fri-sun
        if low > high or (step is not None and int(step) == 0):
            raise ScheduleError(f"{shown(part)} runs backwards", hint="list the days: sat,sun,mon")
        chosen.update(_CRON_DAYS[day % 7] for day in range(low, high + 1, int(step or 1)))
    if len(chosen) == 7:
        return "*"
    return ",".join(day for day in _WEEKDAYS if day in chosen)


def _cron_day(word: str, part: str) -> int:
    if word in _CRON_DAYS:
        return _CRON_DAYS.index(word)
    if word in tuple("01234567"):
        return int(word)
    if re.fullmatch(r"[0-9]+", word):
        raise ScheduleError(f"{word} is no weekday", hint="weekdays are sun to sat, or 0 to 7")
    raise _not_cron("weekday", part)


# ---- fields ---------------------------------------------------------------------------------------


def checked_fields(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return CronTrigger fields as text, each checked strictly (APScheduler ignores what follows a match).

    Raises:
        ScheduleError: an unknown field, a value that is no expression of it, or a schedule that can
            never fire. The message names the field.
    """
    if not fields:
        raise ScheduleError("the schedule is empty", hint="write cron, or fields such as hour: 3")
    checked = {}
    for name, value in fields.items():
        if name not in FIELDS:
            hint = did_you_mean(str(name), FIELDS) or f"fields are {', '.join(FIELDS)}"
            raise ScheduleError(f"{name} is no field of a schedule", hint=hint)
        if isinstance(value, bool) or not isinstance(value, int | str):
            hint = f"write {name} as a number or a text"
            raise ScheduleError(f"{name}: {value!r} is no field's value", hint=hint)
        checked[name] = re.sub(r" *, *", ",", str(value).strip().lower())
        for part in checked[name].split(","):
            _check_part(name, part)
    ordered = {name: checked[name] for name in FIELDS if name in checked}
    if "year" not in ordered and _first(ordered, datetime(2024, 1, 1, tzinfo=UTC)) is None:
        raise ScheduleError("the schedule never fires: there is no such day")
    return ordered


def _check_part(name: str, part: str) -> None:
    match = _PART.fullmatch(part)
    if name == "day_of_week":
        if part != "*" and not _names(part, _WEEKDAYS):
            hint = "write weekdays by name, mon to sun, such as mon-fri or sat,sun"
            raise ScheduleError(f"day_of_week: {shown(part)} is no weekday", hint=hint)
        return
    if name == "month" and _names(part, _MONTHS):
        return
    if name == "day" and part == "last":
        return
    position = _POSITION.fullmatch(part) if name == "day" else None
    if position is not None and position.group(1) in _WEEKDAYS:
        return
    if match is None:
        more = ", 1st sun, last fri or last" if name == "day" else ""
        hint = f"write *, a number, a range a-b, or a step */n{more}"
        raise ScheduleError(f"{name}: {shown(part)} is not understood", hint=hint)
    low, high = _LIMITS[name]
    first, last, step = (None if group is None else int(group) for group in match.groups())
    for number in (first, last):
        if number is not None and not low <= number <= high:
            message = f"{name}: {number} is not from {low} to {high}"
            raise ScheduleError(message)
    if first is not None and last is not None and first > last:
        raise ScheduleError(f"{name}: {shown(part)} runs backwards", hint=f"write {last}-{first}")
    span = (high if last is None else last) - (low if first is None else first)
    if step is not None and not 1 <= step <= max(span, 1):
        raise ScheduleError(f"{name}: the step {step} leaves nothing to step over")


def _names(part: str, names: tuple[str, ...]) -> bool:
    first, dash, last = part.partition("-")
    if first not in names or (dash and last not in names):
        return False
    if dash and names.index(first) > names.index(last):
        around = names[names.index(first) :] + names[: names.index(last) + 1]
        hint = f"list them: {','.join(around)}"
        raise ScheduleError(f"{shown(part)} runs backwards", hint=hint)
    return True


def checked_timezone(name: str) -> str:
    """Return a zone's name where the zone database knows it.

    Raises:
        ScheduleError: it does not.
    """
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        known = zoneinfo.available_timezones()
        hint = did_you_mean(name, known) or "write for example UTC or Europe/Berlin"
        raise ScheduleError(f"{shown(name)} is no time zone", hint=hint) from error
    return name


# ---- fire times -----------------------------------------------------------------------------------


def next_fire(schedule: Schedule, after: datetime) -> datetime | None:
    """Return the first fire time strictly after `after`, aware and in UTC; None where there is none.

    Args:
        after: an aware time.
    """
    fields = tuple(schedule.fields.items())
    trigger = _trigger(fields, schedule.timezone)
    moment = after.astimezone(UTC) + timedelta(microseconds=1)
    until = moment + _NEVER
    while True:
        fire = trigger.get_next_fire_time(None, moment)
        if fire is None:
            return None
        found: datetime = fire.astimezone(UTC)
        # Around a doubled hour the trigger can name a moment that has passed: ask a little later.
        if found > after or moment > until:
            return found
        moment += timedelta(minutes=1)


def _first(fields: Mapping[str, str], after: datetime) -> datetime | None:
    return next_fire(Schedule(fields=dict(fields)), after)


@functools.lru_cache(maxsize=1024)
def _trigger(fields: tuple[tuple[str, str], ...], timezone: str) -> CronTrigger:
    from apscheduler.triggers.cron import CronTrigger

    try:
        return CronTrigger(timezone=zoneinfo.ZoneInfo(timezone), **dict(fields))
    except ValueError as error:
        raise ScheduleError(f"the schedule is not understood: {error}") from error
