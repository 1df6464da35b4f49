"""Telling people, for a person."""

from __future__ import annotations

from engine.contract.byhand import ByHand, Given, Hand, note


def _told(given: Given, words: object) -> Hand:
    return Hand([note(f"write in {given.get('channel') or 'the incident channel'}: {words}")])


def message(_: object, given: Given, at: ByHand) -> Hand:
    del at
    title = f"{given['title']}: " if given.get("title") else ""
    return _told(given, f"{title}{given.get('text', '')}")


def update(_: object, given: Given, at: ByHand) -> Hand:
    del at
    return _told(given, f"(as an update) {given.get('text', '')}")


def file(_: object, given: Given, at: ByHand) -> Hand:
    del at
    return _told(given, f"(as a file {given.get('filename', '')}) {given.get('comment', '')}")
