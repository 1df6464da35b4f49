"""A rule's schedule: cron text or fields, a zone, and what follows a missed time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from engine.language.diagnostics import Report, clipped, described, listed, suggestion
from engine.language.problems import BadText
from engine.language.rules import Schedule
from engine.language.schedules import FIELDS, checked_fields, checked_timezone, cron_fields
from engine.language.yamlnodes import Node

_OWN = ("cron", "timezone", "misfire")
_MISFIRE = ("run_once", "skip")


def read_schedule(node: Node, report: Report) -> Schedule | None:
    """Read a schedule; report what is wrong with it. None where it cannot be used."""
    if not isinstance(node.value, dict):
        return None  # its form has said so
    before = len(report.diagnostics)
    fields = _fields(node, report)
    zone = _zone(node, report)
    misfire = node.value.get("misfire", "run_once")
    if misfire not in _MISFIRE:
        near = suggestion(misfire, _MISFIRE) if isinstance(misfire, str) else None
        place = node.at("misfire")
        message = f"{described(misfire)} is no answer to a missed time"
        report.error(place, message, expected=" | ".join(_MISFIRE), hint=near)
    if len(report.diagnostics) > before:
        return None
    return Schedule(fields=fields, timezone=zone, misfire=misfire)


def _fields(node: Node, report: Report) -> dict[str, str]:
    given = {name: item for name, item in node.entries() if name not in _OWN}
    unknown = [name for name in given if name not in FIELDS]
    for name in unknown:
        report.error(
            node.key(name),
            f"there is no field {clipped(name)} in a schedule",
            expected=listed((*_OWN, *FIELDS), 20),
            hint=suggestion(name, (*_OWN, *FIELDS)),
        )
    cron = node.get("cron")
    if cron is not None and given and not unknown:
        first = next(iter(given))
        hint = "write the cron text alone, or fields alone"
        report.error(node.key(first), f"a schedule has cron or fields, not {first} too", hint=hint)
        return {}
    if cron is not None:
        if not isinstance(cron.value, str):
            found = described(cron.value)
            report.error(cron, "cron: a text is expected", found=found, hint='"0 2 * * sun"')
            return {}
        return _tried(cron, report, cron_fields)
    if unknown:
        return {}
    if not given:
        hint = 'write for example schedule: {cron: "0 2 * * sun"}'
        report.error(node, "the schedule says no time", expected="cron or fields", hint=hint)
        return {}
    checked: dict[str, str] = {}
    for name, item in given.items():
        checked |= _tried(item, report, functools.partial(_one, name))
    if len(checked) == len(given):
        return _tried(node, report, lambda _: checked_fields(checked))
    return checked


def _one(name: str, value: Any) -> dict[str, str]:
    # With a year, a field is judged alone: whether all together ever fire is asked afterwards.
    fields = checked_fields({name: value, "year": "*"} if name != "year" else {name: value})
    return {name: fields[name]}


def _tried(node: Node, report: Report, read: Callable[[Any], dict[str, str]]) -> dict[str, str]:
    try:
        return read(node.value)
    except BadText as error:
        report.error(node, error.message, hint=error.hint, offset=error.offset)
        return {}


def _zone(node: Node, report: Report) -> str:
    zone = node.get("timezone")
    if zone is None:
        return "UTC"
    if not isinstance(zone.value, str):
        report.error(zone, "timezone: a text is expected", found=described(zone.value))
        return "UTC"
    try:
        return checked_timezone(zone.value)
    except BadText as error:
        report.error(zone, error.message, hint=error.hint)
        return "UTC"
