"""What a person does to an incident, by hand."""

from __future__ import annotations

from engine.contract.byhand import ByHand, Given, Hand, note


def update(_: object, given: Given, at: ByHand) -> Hand:
    del at
    told = ", ".join(
        f"{name} {given[name]}" for name in ("severity", "status", "title") if given.get(name)
    )
    return Hand([note(f"write down that the incident is now: {told} ({given.get('reason', '')})")])


def text(_: object, given: Given, at: ByHand) -> Hand:
    del at
    return Hand([note(f"write down, with the time: {given.get('text', '')}")])


def artifact(_: object, given: Given, at: ByHand) -> Hand:
    del at
    return Hand([note(f"keep {given.get('name', 'the file')} for the postmortem")])


def escalate(_: object, given: Given, at: ByHand) -> Hand:
    del at
    level = given.get("level", "critical")
    return Hand([note(f"call whoever is on call ({level}): {given.get('reason', '')}")])


def report(_: object, given: Given, at: ByHand) -> Hand:
    del at, given
    return Hand([note("write the incident's report: summary, cause, recovery, impact, prevention")])


def status(_: object, given: Given, at: ByHand) -> Hand:
    del at
    who = given.get("affected", "those affected")
    return Hand([note(f"write a status report for {who}: {given.get('text', '')}")])
