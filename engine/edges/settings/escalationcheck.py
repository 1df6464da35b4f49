"""What must fit together in `escalation:`: names that are there, ways that are one, connections of their kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from engine.domain.incident import PRIORITIES
from engine.language.diagnostics import Report, listed, suggestion
from engine.language.yamlnodes import Node


def check_escalation(root: Node, kinds: Mapping[str, str], report: Report) -> None:
    """Report names that are nowhere, ways that are none or several, connections of another kind."""
    section = root.get("escalation")
    if section is None or not isinstance(section.value, dict):
        return
    names = {
        part: _keys(section.get(part)) for part in ("people", "schedules", "contacts", "chains")
    }
    for place in _values(section.get("people")):
        _check_ways(place.get("ways"), kinds, report)
    for place in _values(section.get("schedules")):
        _one_of(place, ("file", "ical", "pagerduty", "opsgenie"), "a schedule", report)
        for provider in ("pagerduty", "opsgenie", "ical"):
            asked = place.get(provider)
            _connection(asked.get("connection") if asked else None, "http", kinds, report)
        ical = place.get("ical")
        if ical is not None:
            _one_of(ical, ("file", "connection"), "a calendar", report)
    for place in _values(section.get("contacts")):
        _named(place.get("on_call"), names["schedules"], "schedule", report)
        _named(place.get("person"), names["people"], "person", report)
        _check_ways(place.get("ways"), kinds, report)
        if not any(place.get(one) for one in ("on_call", "person", "ways")):
            report.error(
                place, "nobody is reached by this contact", hint="write on_call, person or ways"
            )
    for place in _values(section.get("chains")):
        for step in _items(place.get("steps")):
            _named(step.get("contact"), names["contacts"], "contact", report)
    for place in _values(section.get("levels")):
        chain = place.get("chain")
        if chain is not None:
            _named(chain, names["chains"], "chain", report)
        elif "default" not in names["chains"]:
            report.error(
                place, "there is no chain called default", hint="name the level's chain: chain: …"
            )
    severities = section.get("severities")
    for name in _keys(severities):
        if name not in PRIORITIES:
            assert severities is not None
            report.error(
                severities.key(name), f"{name!r} is no severity", expected=listed(PRIORITIES)
            )


def _keys(node: Node | None) -> tuple[str, ...]:
    return tuple(node.keys) if node is not None and isinstance(node.value, dict) else ()


def _values(node: Node | None) -> Iterable[Node]:
    if node is None or not isinstance(node.value, dict):
        return ()
    return [item for _, item in node.entries() if isinstance(item.value, dict)]


def _items(node: Node | None) -> Iterable[Node]:
    if node is None or not isinstance(node.value, list):
        return ()
    return [item for item in node.elements() if isinstance(item.value, dict)]


def _check_ways(node: Node | None, kinds: Mapping[str, str], report: Report) -> None:
    for way in _items(node):
        _one_of(way, ("webhook", "mail", "chat"), "a way", report)
        _connection(way.get("webhook"), "webhook", kinds, report)
        mail = way.get("mail")
        if mail is not None and isinstance(mail.value, dict):
            _connection(mail.get("connection"), "mail", kinds, report)


def _one_of(node: Node, choices: tuple[str, ...], what: str, report: Report) -> None:
    given = [name for name in choices if node.get(name) is not None]
    if len(given) != 1:
        report.error(
            node,
            f"{what} is exactly one of these",
            found=listed(given) if given else "none",
            expected=listed(choices),
        )


def _named(node: Node | None, known: Iterable[str], what: str, report: Report) -> None:
    if node is None or not isinstance(node.value, str) or node.value in known:
        return
    report.error(
        node,
        f"there is no {what} {node.value!r}",
        expected=listed(known) if known else None,
        hint=suggestion(node.value, known),
    )


def _connection(node: Node | None, kind: str, kinds: Mapping[str, str], report: Report) -> None:
    if node is None or not isinstance(node.value, str):
        return
    name = re.sub(r"\s+", " ", node.value)
    if kinds.get(node.value) == kind:
        return
    fitting = sorted(one for one, of in kinds.items() if of == kind)
    other = kinds.get(node.value)
    message = (
        f"connection {name!r} is of kind {other}, not {kind}"
        if other
        else f"there is no connection {name!r}"
    )
    report.error(
        node,
        message,
        expected=listed(fitting) if fitting else f"a connection of kind {kind}",
        hint=suggestion(node.value, fitting),
    )
