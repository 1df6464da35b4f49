"""A schedule file: people who take turns, and who stands in for whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, PlainValidator, WithJsonSchema

from engine.domain.clock import parse_time
from engine.domain.errors import ActionFailed, Category
from engine.edges.oncall.following import Next, following
from engine.language.diagnostics import InvalidProject, Report, arranged
from engine.language.explain import read_form
from engine.language.forms import Form, bad, bad_type
from engine.language.projectfiles import read_source
from engine.language.valuefields import PositiveSeconds

_DAY = 86_400


def _moment(value: object) -> datetime:
    if not isinstance(value, str):
        bad_type(value, "a time such as 2026-11-23T08:00:00Z")
    try:
        return parse_time(value)
    except ValueError:
        bad(f"{value!r} is no time with a zone", "write for example 2026-11-23T08:00:00+01:00")


def _zone(value: object) -> str:
    if not isinstance(value, str):
        bad_type(value, "a time zone such as Europe/Berlin")
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        bad(f"there is no time zone {value!r}", "write for example UTC or Europe/Berlin")
    return value


Moment = Annotated[
    datetime, PlainValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})
]
Zone = Annotated[str, PlainValidator(_zone), WithJsonSchema({"type": "string"})]


class RotationForm(Form):
    """People who take turns."""

    people: list[str] = Field(
        description="Who takes turns, in this order", examples=[["alice", "bob"]], min_length=1
    )
    start: Moment = Field(
        description="When the first one begins", examples=["2026-11-23T08:00:00Z"]
    )
    every: PositiveSeconds = Field(description="How long a turn is", examples=["7d"])
    until: Moment | None = Field(None, description="When the rotation ends; left out: never")


class OverrideForm(Form):
    """Somebody stands in for a while."""

    who: str = Field(description="Who stands in", examples=["carol"], min_length=1)
    from_: Moment = Field(alias="from", description="From when")
    until: Moment = Field(description="Until when")


class ScheduleFile(Form):
    """Who is on call: rotations side by side, and overrides that come before all of them."""

    timezone: Zone = Field(
        "UTC", description="Turns of whole days change at this zone's wall clock", examples=["UTC"]
    )
    rotations: list[RotationForm] = Field(description="Rotations side by side", min_length=1)
    overrides: list[OverrideForm] = Field([], description="Who stands in, and when")

    def next(self, at: datetime) -> Next | None:
        """Return who follows, and when."""
        zone = ZoneInfo(self.timezone)
        turns = [one for each in self.overrides for one in (each.from_, each.until)]
        for rotation in self.rotations:
            turns += [rotation.start, *([rotation.until] if rotation.until is not None else [])]
            turns += _turns(rotation, at, zone)
        return following(self.who, turns, at)

    def who(self, at: datetime) -> tuple[str, ...]:
        """Return the names of those on call at a time; nobody before the first turn."""
        standing_in = [one.who for one in self.overrides if one.from_ <= at < one.until]
        if standing_in:
            return tuple(dict.fromkeys(standing_in))
        zone = ZoneInfo(self.timezone)
        turns = [_turn(one, at, zone) for one in self.rotations]
        return tuple(dict.fromkeys(name for name in turns if name is not None))


def _turn(rotation: RotationForm, at: datetime, zone: ZoneInfo) -> str | None:
    if at < rotation.start or (rotation.until is not None and at >= rotation.until):
        return None
    return rotation.people[_number(rotation, at, zone) % len(rotation.people)]


def _number(rotation: RotationForm, at: datetime, zone: ZoneInfo) -> int:
    """Which turn it is, counted from the rotation's start."""
    if rotation.every % _DAY:
        passed = (at - rotation.start).total_seconds()
    else:  # days are the wall clock's: a turn changes at 08:00 in summer and in winter
        passed = (_wall(at, zone) - _wall(rotation.start, zone)).total_seconds()
    return int(passed // rotation.every)


def _turns(rotation: RotationForm, at: datetime, zone: ZoneInfo) -> list[datetime]:
    """When the next turns begin: once around is enough to meet everybody."""
    first = max(0, _number(rotation, at, zone)) + 1
    passed = [timedelta(seconds=rotation.every * (first + n)) for n in range(len(rotation.people))]
    if rotation.every % _DAY:
        return [rotation.start + one for one in passed]
    wall = _wall(rotation.start, zone)
    return [(wall + one).replace(tzinfo=zone).astimezone(UTC) for one in passed]


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


def read_schedule(path: Path) -> ScheduleFile:
    """Read a schedule file.

    Raises:
        InvalidProject: with every mistake of it.
    """
    report = Report()
    root = read_source(path, report)
    form = None
    if root is not None:
        form = read_form(ScheduleFile, root, report, what="the on-call schedule")
    if form is None or report.failed:
        raise InvalidProject(arranged(report.diagnostics))
    return form


def on_call(path: Path, at: datetime) -> Sequence[str]:
    """Return who is on call by a file, which is read each time: people change it in the night.

    Raises:
        ActionFailed: (configuration) it cannot be read.
    """
    return _readable(path).who(at.astimezone(UTC))


def next_on_call(path: Path, at: datetime) -> Next | None:
    """Return who follows by a file. Raises: as `on_call`."""
    return _readable(path).next(at.astimezone(UTC))


def _readable(path: Path) -> ScheduleFile:
    try:
        return read_schedule(path)
    except InvalidProject as error:
        first = error.diagnostics[0]
        raise ActionFailed(
            Category.CONFIGURATION,
            f"{first.file}:{first.line}: {first.message}",
            effect_possible=False,
        ) from None
