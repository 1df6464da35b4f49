"""Classifying errors and measurements, for a person."""

from __future__ import annotations

from engine.contract.byhand import ByHand, Given, Hand, note


def text(_: object, given: Given, at: ByHand) -> Hand:
    settings = at.of(given)
    files = ", ".join(map(str, getattr(settings, "files", ()))) or "the shipped patterns"
    what = str(given.get("text") or given.get("status") or "<the error>")
    return Hand([note(f"look this error up in {files}: {what[:200]}")])


def levels(_: object, given: Given, at: ByHand) -> Hand:
    del at
    measures = given.get("measures")
    if not isinstance(measures, dict):
        return Hand([note("hold each measurement to its warning and critical thresholds")])
    return Hand([note(_thresholds(name, one)) for name, one in measures.items()])


def _thresholds(name: str, measure: object) -> str:
    given = measure if isinstance(measure, dict) else {}
    side = given.get("worse", "above")
    return (
        f"{given.get('metric', name)}: a warning {side} {given.get('warning', '<warning>')}, "
        f"critical {side} {given.get('critical', '<critical>')}"
    )
