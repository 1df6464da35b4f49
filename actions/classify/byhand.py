"""Classifying an error, for a person."""

from __future__ import annotations

from engine.contract.byhand import ByHand, Given, Hand, note


def text(_: object, given: Given, at: ByHand) -> Hand:
    settings = at.of(given)
    files = ", ".join(map(str, getattr(settings, "files", ()))) or "the shipped patterns"
    what = str(given.get("text") or given.get("status") or "<the error>")
    return Hand([note(f"look this error up in {files}: {what[:200]}")])
