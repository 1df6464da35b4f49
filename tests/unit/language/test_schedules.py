"""Cron texts, trigger fields, zones and fire times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.language.rules import Schedule
from engine.language.schedules import (
    ScheduleError,
    checked_fields,
    checked_timezone,
    cron_fields,
    next_fire,
)

SATURDAY = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def fires(fields: dict[str, str], after: datetime, count: int, zone: str = "UTC") -> list[str]:
    found = []
    moment: datetime | None = after
    for _ in range(count):
        assert moment is not None
        moment = next_fire(Schedule(fields=fields, timezone=zone), moment)
        assert moment is not None
        found.append(moment.strftime("%a %d %H:%M:%S"))
    return found


@pytest.mark.parametrize(
    ("cron", "weekdays"),
    [
        ("0 2 * * sun", "sun"),
        ("0 2 * * SUN", "sun"),
        ("0 2 * * 0", "sun"),
        ("0 2 * * 7", "sun"),
        ("0 2 * * 1", "mon"),
        ("0 2 * * 1-5", "mon,tue,wed,thu,fri"),
        ("0 2 * * mon-fri", "mon,tue,wed,thu,fri"),
        ("0 2 * * fri-sun", "fri,sat,sun"),
        ("0 2 * * 5-7", "fri,sat,sun"),
        ("0 2 * * 0-2", "mon,tue,sun"),
        ("0 2 * * */2", "tue,thu,sat,sun"),
        ("0 2 * * 1-5/2", "mon,wed,fri"),
        ("0 2 * * 6,0", "sat,sun"),
        ("0 2 * * 0-6", "*"),
        ("0 2 * * *", "*"),
        ("@weekly", "sun"),
    ],
)
def test_crons_weekdays_are_translated(cron: str, weekdays: str) -> None:
    assert cron_fields(cron)["day_of_week"] == weekdays


def test_a_cron_text_fires_when_cron_would() -> None:
    assert fires(cron_fields("30 2 * * 0"), SATURDAY, 2) == ["Sun 22 02:30:00", "Sun 29 02:30:00"]
    assert fires(cron_fields("*/20 * * * *"), SATURDAY, 2) == ["Sat 21 12:20:00", "Sat 21 12:40:00"]
    assert fires(cron_fields("0 9 1 jan-mar/2 *"), SATURDAY, 2) == [
        "Fri 01 09:00:00",
        "Mon 01 09:00:00",
    ]
    assert fires(cron_fields("@hourly"), SATURDAY, 1) == ["Sat 21 13:00:00"]
    assert fires(cron_fields("@monthly"), SATURDAY, 1) == ["Tue 01 00:00:00"]


@pytest.mark.parametrize(
    ("cron", "message", "offset"),
    [
        ("* * * *", "a cron text has 5 fields, this has 4; write minute, hour, day", None),
        ("0 0 0 * * *", "this has 6; seconds and years go as fields", None),
        ("", "this has 0", None),
        ("@reboot", "'@reboot' is no schedule; known are @hourly", 0),
        ("@dayly", "did you mean @daily?", 0),
        ("0 0 1 * mon", "both day and weekday are given, which cron takes as either", 4),
        ("0 0 ? * mon", "'?' is no day of a cron text; write *", 4),
        ("0 0 L * *", "write it as fields, for example {day: last}", 4),
        ("0 0 * * 1#2", "write it as fields, for example {day: last} or {day: 1st sun}", 8),
        ("0 0 * * 5L", "write it as fields", 8),
        ("x * * * *", "'x' is no minute of a cron text", 0),
        ("60 * * * *", "minute: 60 is not from 0 to 59", None),
        ("0 24 * * *", "hour: 24 is not from 0 to 23", None),
        ("0 0 0 * *", "day: 0 is not from 1 to 31", None),
        ("0 0 * foo *", "foo is no month; write one of jan", 6),
        ("0 0 * * sunday", "names from sun to sat, or numbers from 0 (sun)", 8),
        ("0 0 * * 8", "8 is no weekday; weekdays are sun to sat, or 0 to 7", 8),
        ("0 0 * * sat-mon", "'sat-mon' runs backwards; list the days", 8),
        ("0 0 * * 1-5/0", "runs backwards", 8),
        ("5-1 * * * *", "minute: '5-1' runs backwards; write 1-5", None),
        ("0 0 30 2 *", "the schedule never fires", None),
        ("0 0 31 4,6 *", "the schedule never fires", None),
    ],
)
def test_bad_cron_texts(cron: str, message: str, offset: int | None) -> None:
    with pytest.raises(ScheduleError) as caught:
        cron_fields(cron)
    assert message in str(caught.value)
    assert caught.value.offset == offset


def test_fields_are_apschedulers() -> None:
    assert checked_fields({"hour": 3, "day": "1st sun"}) == {"day": "1st sun", "hour": "3"}
    assert checked_fields({"day": "Last", "hour": "8 , 20"}) == {"day": "last", "hour": "8,20"}
    assert fires({"day": "1st sun", "hour": "3"}, SATURDAY, 2) == [
        "Sun 06 03:00:00",
        "Sun 03 03:00:00",
    ]
    assert fires({"day": "last fri"}, SATURDAY, 1) == ["Fri 27 00:00:00"]
    assert fires({"day_of_week": "mon-fri", "hour": "9"}, SATURDAY, 1) == ["Mon 23 09:00:00"]
    assert fires({"second": "*/30"}, SATURDAY, 2) == ["Sat 21 12:00:30", "Sat 21 12:01:00"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "the schedule is empty"),
        ({"hours": 3}, "hours is no field of a schedule; did you mean hour?"),
        ({"hour": "3x"}, "hour: '3x' is not understood"),
        ({"hour": True}, "hour: True is no field's value"),
        ({"hour": 3.5}, "is no field's value"),
        ({"day": "last fri foo"}, "day: 'last fri foo' is not understood"),
        ({"day": "1st foo"}, "1st sun, last fri or last"),
        ({"day": "lastly"}, "is not understood"),
        ({"day_of_week": "0"}, "write weekdays by name, mon to sun"),
        ({"day_of_week": "*/2"}, "write weekdays by name"),
        ({"day_of_week": "sun-tue"}, "'sun-tue' runs backwards; list them: sun,mon,tue"),
        ({"day_of_week": "mon/2"}, "write weekdays by name"),
        ({"month": "nov-feb"}, "list them: nov,dec,jan,feb"),
        ({"month": 13}, "month: 13 is not from 1 to 12"),
        ({"minute": "*/60"}, "the step 60 leaves nothing to step over"),
        ({"minute": "*/0"}, "the step 0 leaves nothing"),
        ({"hour": ""}, "is not understood"),
        ({"hour": "1,,2"}, "is not understood"),
        ({"day": "31", "month": "feb"}, "the schedule never fires"),
    ],
)
def test_bad_fields(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        checked_fields(fields)
    assert message in str(caught.value)


def test_a_year_that_has_passed_has_no_next_fire() -> None:
    fields = checked_fields({"year": 2020, "month": 1})
    assert next_fire(Schedule(fields=fields), SATURDAY) is None
    assert next_fire(Schedule(fields=fields), datetime(2019, 6, 1, tzinfo=UTC)) == datetime(
        2020, 1, 1, tzinfo=UTC
    )


def test_zones() -> None:
    assert checked_timezone("Europe/Berlin") == "Europe/Berlin"
    for wrong, hint in (("Europe/Berln", "did you mean Europe/Berlin?"), ("../x", ""), ("", "UTC")):
        with pytest.raises(ScheduleError, match="is no time zone") as caught:
            checked_timezone(wrong)
        assert hint in str(caught.value)
    assert fires({"hour": "9"}, SATURDAY, 1, "Asia/Tokyo") == ["Sun 22 00:00:00"]


def test_missing_and_doubled_hours() -> None:
    """Berlin: 02:30 is missing on 29 March 2026 and comes twice on 25 October."""
    spring = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert fires({"hour": "2", "minute": "30"}, spring, 2, "Europe/Berlin") == [
        "Sun 29 01:30:00",
        "Mon 30 00:30:00",
    ]
    autumn = datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert fires({"hour": "2", "minute": "30"}, autumn, 3, "Europe/Berlin") == [
        "Sun 25 00:30:00",
        "Sun 25 01:30:00",
        "Mon 26 01:30:00",
    ]


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
)
@pytest.mark.parametrize(
    "fields", [{"minute": "*/30"}, {"hour": "2", "minute": "15"}, {"hour": "*/6"}]
)
def test_fire_times_always_move_on(zone: str, fields: dict[str, str]) -> None:
    """Over the days on which clocks change, each fire is strictly later than the one before."""
    schedule = Schedule(fields=fields, timezone=zone)
    for start in (datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 10, 3, tzinfo=UTC)):
        moment = start
        while moment < start + timedelta(days=30):
            following = next_fire(schedule, moment)
            assert following is not None
            assert following > moment
            assert following.tzinfo is UTC
            moment = following


def test_the_moment_itself_is_not_after_it() -> None:
    noon = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    schedule = Schedule(fields={"hour": "12"})
    assert next_fire(schedule, noon) == noon + timedelta(days=1)
    assert next_fire(schedule, noon - timedelta(microseconds=1)) == noon
