"""Who is on call: rotations with overrides, calendar feeds, PagerDuty's and Opsgenie's shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.domain.clock import parse_time
from engine.domain.errors import ActionFailed, Category
from engine.edges.oncall.following import Next
from engine.edges.oncall.ical import people_after, people_at
from engine.edges.oncall.providers import (
    opsgenie_next,
    opsgenie_people,
    pagerduty_next,
    pagerduty_people,
)
from engine.edges.oncall.roster import Roster
from engine.edges.oncall.rotation import next_on_call, on_call, read_schedule
from engine.edges.settings.escalation import EscalationConfig
from engine.language.diagnostics import InvalidProject

WEEKLY = """
timezone: Europe/Berlin
rotations:
  - people: [alice, bob, carol]
    start: 2026-10-19T08:00:00+02:00
    every: 7d
  - people: [dan]
    start: 2026-11-01T00:00:00Z
    every: 1d
    until: 2026-11-02T00:00:00Z
overrides:
  - {who: erin, from: 2026-11-03T10:00:00Z, until: 2026-11-03T12:00:00Z}
"""


@pytest.fixture
def weekly(tmp_path: Path) -> Path:
    path = tmp_path / "oncall.yaml"
    path.write_text(WEEKLY)
    return path


@pytest.mark.parametrize(
    ("at", "names"),
    [
        ("2026-10-19T05:59:59Z", ()),  # before the first turn
        ("2026-10-19T06:00:00Z", ("alice",)),
        ("2026-10-26T06:30:00Z", ("alice",)),  # winter time began on the 25th: 08:00 is 07:00 UTC
        ("2026-10-26T07:00:00Z", ("bob",)),
        ("2026-11-01T12:00:00Z", ("bob", "dan")),  # two rotations side by side
        ("2026-11-02T12:00:00Z", ("carol",)),
        ("2026-11-03T10:00:00Z", ("erin",)),
        ("2026-11-03T12:00:00Z", ("carol",)),
        ("2026-11-09T12:00:00Z", ("alice",)),  # and round again
    ],
)
def test_turns(weekly: Path, at: str, names: tuple[str, ...]) -> None:
    assert on_call(weekly, parse_time(at)) == names


@pytest.mark.parametrize(
    ("at", "names", "then"),
    [
        ("2026-10-18T00:00:00Z", ("alice",), "2026-10-19T06:00:00Z"),  # before the first turn
        ("2026-10-19T06:00:00Z", ("bob",), "2026-10-26T07:00:00Z"),  # winter time comes between
        ("2026-10-31T12:00:00Z", ("bob", "dan"), "2026-11-01T00:00:00Z"),
        ("2026-11-03T09:00:00Z", ("erin",), "2026-11-03T10:00:00Z"),
        ("2026-11-03T11:00:00Z", ("carol",), "2026-11-03T12:00:00Z"),
        ("2026-11-03T13:00:00Z", ("alice",), "2026-11-09T07:00:00Z"),
    ],
)
def test_who_comes_next(weekly: Path, at: str, names: tuple[str, ...], then: str) -> None:
    found = next_on_call(weekly, parse_time(at))
    assert found is not None
    assert found.at == parse_time(then)
    assert tuple(found.names) == names
    assert on_call(weekly, parse_time(then)) == names, "at that moment they are on call"


def test_who_is_alone_is_followed_by_nobody(tmp_path: Path) -> None:
    path = tmp_path / "alone.yaml"
    path.write_text(
        "rotations: [{people: [alice], start: 2026-10-19T08:00:00Z, every: 12h, until: 2027-06-01T00:00:00Z}]"
    )
    assert next_on_call(path, parse_time("2026-11-01T00:00:00Z")) is None
    gap = next_on_call(path, parse_time("2027-05-31T00:00:00Z"))
    assert gap == Next((), parse_time("2027-06-01T00:00:00Z")), "a gap is told"


def test_a_file_with_mistakes_says_them_all(tmp_path: Path) -> None:
    path = tmp_path / "oncall.yaml"
    path.write_text(
        "timezone: Europe/Bonn\nrotations:\n  - {people: [], start: tomorrow, every: 0s}\nwho: me\n"
    )
    with pytest.raises(InvalidProject) as caught:
        read_schedule(path)
    told = str(caught.value)
    for words in ("'Europe/Bonn'", "'tomorrow' is no time", "people", "every", "who"):
        assert words in told
    with pytest.raises(ActionFailed, match=r"oncall\.yaml:1") as failed:
        on_call(path, datetime.now(UTC))
    assert failed.value.category is Category.CONFIGURATION


# ---------------------------------------------------------------- calendars

FEED = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//EN
BEGIN:VEVENT
UID:1
DTSTART;TZID=Europe/Berlin:20261102T080000
DTEND;TZID=Europe/Berlin:20261109T080000
RRULE:FREQ=WEEKLY;INTERVAL=2
EXDATE;TZID=Europe/Berlin:20261130T080000
SUMMARY:alice
END:VEVENT
BEGIN:VEVENT
UID:2
DTSTART;TZID=Europe/Berlin:20261109T080000
DURATION:P7D
RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=2
SUMMARY:shift
ATTENDEE;CN=bob:mailto:bob@example.org
ATTENDEE:mailto:carol@example.org
END:VEVENT
BEGIN:VEVENT
UID:2
RECURRENCE-ID;TZID=Europe/Berlin:20261123T080000
DTSTART;TZID=Europe/Berlin:20261124T080000
DTEND;TZID=Europe/Berlin:20261125T080000
SUMMARY:dan
END:VEVENT
BEGIN:VEVENT
UID:3
DTSTART;VALUE=DATE:20261205
DTEND;VALUE=DATE:20261206
SUMMARY:erin
END:VEVENT
BEGIN:VEVENT
UID:4
DTSTART:20261205T000000Z
DTEND:20261206T000000Z
STATUS:CANCELLED
SUMMARY:frank
END:VEVENT
BEGIN:VEVENT
UID:5
DTSTART:20261205T000000Z
DTEND:20261206T000000Z
TRANSP:TRANSPARENT
SUMMARY:birthday
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("at", "names"),
    [
        ("2026-11-02T06:59:59Z", ()),
        ("2026-11-02T07:00:00Z", ("alice",)),
        ("2026-11-09T07:00:00Z", ("bob", "carol@example.org")),
        ("2026-11-23T12:00:00Z", ()),  # the instance that was moved
        ("2026-11-24T12:00:00Z", ("dan",)),
        ("2026-12-01T12:00:00Z", ()),  # the one that was taken out
        ("2026-12-05T12:00:00Z", ("erin",)),  # a whole day; neither cancelled nor free ones
        ("2026-12-08T12:00:00Z", ()),  # counted out
        ("2026-12-15T12:00:00Z", ("alice",)),
    ],
)
def test_a_calendar(at: str, names: tuple[str, ...]) -> None:
    assert people_at(FEED, parse_time(at)) == names


@pytest.mark.parametrize(
    ("at", "then"),
    [
        (
            "2026-11-02T08:00:00Z",
            Next(("bob", "carol@example.org"), parse_time("2026-11-09T07:00:00Z")),
        ),
        ("2026-11-16T12:00:00Z", Next(("dan",), parse_time("2026-11-24T07:00:00Z"))),
        ("2026-11-24T12:00:00Z", Next((), parse_time("2026-11-25T07:00:00Z"))),
        ("2030-01-01T00:00:00Z", None),
    ],
)
def test_who_comes_next_in_a_calendar(at: str, then: Next | None) -> None:
    found = people_after(
        FEED.replace("RRULE:FREQ=WEEKLY;INTERVAL=2\r", "RRULE:FREQ=WEEKLY;COUNT=1\r"),
        parse_time(at),
    )
    assert found == then


@pytest.mark.parametrize("text", ["", "nonsense", "<html>Sign in</html>", "BEGIN:VCALENDAR"])
def test_what_is_no_calendar(text: str) -> None:
    with pytest.raises(ActionFailed, match="no calendar"):
        people_at(text, datetime(2026, 11, 2, tzinfo=UTC))


# ---------------------------------------------------------------- providers


def test_pagerduty_means_its_first_level() -> None:
    answer = {
        "oncalls": [
            {"escalation_level": 2, "user": {"summary": "Carol"}},
            {"escalation_level": 1, "user": {"summary": "Alice", "email": "alice@example.org"}},
            {"escalation_level": 1, "user": {"summary": "Bob"}},
            {"escalation_level": 1, "user": None},
        ]
    }
    assert pagerduty_people(answer) == ("alice@example.org", "Bob")
    assert pagerduty_people({"oncalls": []}) == ()


def test_pagerduty_says_who_follows() -> None:
    def shift(name: str, start: str | None, end: str | None, level: int = 1) -> dict[str, Any]:
        return {"escalation_level": level, "user": {"summary": name}, "start": start, "end": end}

    now = parse_time("2026-11-03T00:00:00Z")
    answer = {
        "oncalls": [
            shift("Alice", "2026-11-02T08:00:00Z", "2026-11-09T08:00:00Z"),
            shift("Bob", "2026-11-09T08:00:00Z", "2026-11-16T08:00:00Z"),
            shift("Carol", None, None, 2),
        ]
    }
    assert pagerduty_next(answer, now) == Next(("Bob",), parse_time("2026-11-09T08:00:00Z"))
    assert pagerduty_next({"oncalls": [shift("Alice", None, None)]}, now) is None
    with pytest.raises(ActionFailed, match="times that can be read"):
        pagerduty_next({"oncalls": [shift("Alice", "soon", None)]}, now)


def test_opsgenie() -> None:
    answer = {"data": {"onCallRecipients": ["alice@example.org", "alice@example.org", "bob"]}}
    assert opsgenie_people(answer) == ("alice@example.org", "bob")
    following = {"data": {"exactNextOnCallRecipients": ["carol", "carol"]}}
    assert opsgenie_next(following) == Next(("carol",), None)
    assert opsgenie_next({"data": {"exactNextOnCallRecipients": []}}) is None


@pytest.mark.parametrize("answer", [None, [], "x", {}, {"data": None}, {"oncalls": 3}])
def test_answers_of_another_shape(answer: Any) -> None:
    with pytest.raises(ActionFailed, match="PagerDuty answered without oncalls"):
        pagerduty_people(answer)
    with pytest.raises(ActionFailed, match="Opsgenie answered without"):
        opsgenie_people(answer)
    with pytest.raises(ActionFailed, match="PagerDuty answered without oncalls"):
        pagerduty_next(answer, START)
    with pytest.raises(ActionFailed, match="Opsgenie answered without"):
        opsgenie_next(answer)


# ---------------------------------------------------------------- the roster

START = datetime(2026, 11, 3, tzinfo=UTC)


class Outside:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Mapping[str, Any]]] = []
        self.away = False

    def fetch(self, connection: str, path: str, query: Mapping[str, Any]) -> Any:
        self.asked.append((connection, path, query))
        if self.away:
            raise ActionFailed(Category.TRANSIENT, f"{connection} does not answer")
        if path == "/oncall.ics":
            return FEED
        if path == "/oncalls":
            return {"oncalls": [{"escalation_level": 1, "user": {"summary": "bob"}}]}
        if path.endswith("/next-on-calls"):
            return {"data": {"exactNextOnCallRecipients": ["bob"]}}
        return {"data": {"onCallRecipients": ["carol"]}}


def roster(weekly: Path, outside: Outside) -> Roster:
    config = EscalationConfig.model_validate(
        {
            "people": {"alice": {"ways": [{"webhook": "pager"}]}},
            "schedules": {
                "file": {"file": str(weekly)},
                "feed": {"ical": {"connection": "calendar", "path": "/oncall.ics"}},
                "duty": {"pagerduty": {"connection": "pd", "schedule": "PABC"}},
                "genie": {"opsgenie": {"connection": "og", "schedule": "first-line"}},
            },
            "contacts": {"first": {"title": "First", "on_call": "feed"}},
            "chains": {"default": {"steps": [{"contact": "first"}]}},
        }
    )
    return Roster(config, config.policy(), outside.fetch)


def test_every_kind_of_schedule(weekly: Path) -> None:
    outside = Outside()
    found = roster(weekly, outside)
    assert [found.who(name, START).names for name in ("file", "feed", "duty", "genie")] == [
        *(("carol",), ("alice",), ("bob",), ("carol",))
    ]
    assert found.who("feed", START).ways == [{"webhook": "pager"}]
    assert found.who("duty", START).ways == []  # somebody that people: does not know
    assert outside.asked[1][2]["schedule_ids[]"] == ["PABC"]
    assert outside.asked[2][1] == "/v2/schedules/first-line/on-calls"
    view = found.view(START)
    assert [one["on_call"] for one in view["schedules"]] == [
        ["bob"],
        ["alice"],
        ["carol"],
        ["carol"],
    ]
    assert {one["schedule"]: one["next"] for one in view["schedules"]} == {
        "duty": None,
        "feed": {"on_call": ["bob", "carol@example.org"], "at": "2026-11-09T07:00:00Z"},
        "file": {"on_call": ["erin"], "at": "2026-11-03T10:00:00Z"},
        "genie": {"on_call": ["bob"], "at": None},
    }
    assert view["chains"][0]["contacts"][0]["title"] == "First"


def test_a_source_that_is_away_is_remembered_for_a_day(weekly: Path) -> None:
    outside = Outside()
    found = roster(weekly, outside)
    found.who("feed", START)
    found.who("feed", START + timedelta(seconds=60))
    assert len(outside.asked) == 1
    outside.away = True
    later = found.who("feed", START + timedelta(hours=2))
    assert later.names == ("alice",)
    assert later.source.startswith("calendar calendar, as of 2026-11-03T00:00:00Z (calendar does")
    with pytest.raises(ActionFailed, match="does not answer"):
        found.who("feed", START + timedelta(hours=25))
    (trouble,) = (
        one["trouble"]
        for one in found.view(START + timedelta(hours=25))["schedules"]
        if one["schedule"] == "feed"
    )
    assert trouble == "calendar does not answer"


def test_the_command_line_says_who_is_on_call_now_and_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the store's own host, without a server; `--json` is what scripts read."""
    from engine.edges.cli.main import run

    start = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    (tmp_path / "rota.yaml").write_text(
        f"rotations: [{{people: [alice, bob], start: {start}, every: 1d}}]\n"
    )
    (tmp_path / "stanch.yaml").write_text(
        "escalation:\n  schedules: {primary: {file: rota.yaml}}\n"
        "  contacts: {first: {title: Primary, on_call: primary}}\n"
        "  chains: {default: {steps: [{contact: first}]}}\n"
    )
    given = ("--config", str(tmp_path / "stanch.yaml"), "oncall")
    assert run([*given, "--json"]) == 0
    view = json.loads(capsys.readouterr().out)
    (primary,) = view["schedules"]
    assert primary["on_call"] == ["alice"]
    assert primary["next"]["on_call"] == ["bob"]
    assert parse_time(primary["next"]["at"]) == parse_time(start) + timedelta(days=1)
    assert set(view["levels"]) == {"warning", "critical", "emergency"}
    assert run([*given]) == 0
    told = capsys.readouterr().out
    assert "alice" in told
    assert f"bob from {primary['next']['at'][:16]}Z" in told
    for level in ("warning", "critical", "emergency"):
        assert re.search(rf"{level} +default +Primary \(alice\)", told), told
