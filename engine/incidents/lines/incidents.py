"""Lines of an incident: its alerts and roles, pages and calls, the postmortem."""

from __future__ import annotations

from engine.incidents.lines.fields import Teller, Told, glass, state


def _alert_resolved(b: Told) -> str:
    left = f", {b['firing']} still fire" if b.get("firing") else ", the last one"
    return f"alert {b.get('name') or b.text('alert')} resolved{left}{b.because('text')}"


def _by(b: Told) -> str:
    return b.maybe("actor", " by {}")


def _role(b: Told) -> str:
    verb = f"handed over from {b.text('from')} to" if b.get("from") else "is"
    return f"{b.text('role')} {verb} {b.text('to')}{_by(b)}{b.because()}"


LINES: dict[str, Teller] = {
    "incident.break_glass": glass,
    "incident.opened": lambda b: (
        f"incident opened by rule {b.text('rule')} ({b.text('severity')}): {b.text('title')}"
    ),
    "incident.joined": lambda b: f"alert {b.get('name') or b.text('alert')} joined{b.because()}",
    "incident.state": state("incident"),
    "incident.run": lambda b: f"run {b.text('run')} started{b.maybe('rule', ' by rule {}')}",
    "incident.alert_resolved": _alert_resolved,
    "page.told": lambda b: (
        f"paged ({b.text('level')}){b.because()}{b.maybe('told', ', told {} times')}"
    ),
    "page.seen": lambda b: f"{b.text('by')} has seen the page{b.because('note')}",
    "incident.note": lambda b: b.text("text") + b.maybe("actor", " ({})"),
    "incident.severity": lambda b: (
        f"severity went from {b.text('from')} to {b.text('to')}{_by(b)}{b.because()}"
    ),
    "incident.title": lambda b: f"title is now: {b.text('to')}{_by(b)}{b.because()}",
    "incident.role": _role,
    "incident.artifact": lambda b: (
        f"artifact {b.text('name')} attached ({b.text('bytes')} bytes"
        f"{b.maybe('connection', ', on connection {}')}){_by(b)}"
    ),
    "incident.merged": lambda b: (
        f"{b.text('source')} was merged into {b.text('into')}{_by(b)}{b.because()}"
    ),
    "call.opened": lambda b: (
        f"people are called about {b.text('subject')} ({b.text('level')}"
        f"{b.maybe('chain', ', chain {}')}){b.because()}"
    ),
    "call.raised": lambda b: (
        f"people are called louder about {b.text('subject')}: {b.text('level')}{b.because()}"
    ),
    "call.called": lambda b: f"called: {b.text('contacts')}{b.maybe('reason', ' ({})')}",
    "call.sent": lambda b: (
        f"{b.text('way')} told {b.text('contact')} ({b.text('event')}){b.maybe('message', ': {}')}"
    ),
    "call.failed": lambda b: (
        f"{b.text('way')} did not reach {b.text('contact')} ({b.text('event')}): "
        f"{b.text('message')}"
    ),
    "call.acknowledged": lambda b: f"{b.text('by')} acknowledged the call{b.maybe('via', ' ({})')}",
    "call.resolved": lambda b: f"the call is over{b.because()}",
    "postmortem.due": lambda b: f"the postmortem is due by {b.text('at')}",
    "postmortem.reminded": lambda b: f"reminded of the postmortem{b.because()}",
    "postmortem.published": lambda b: (
        f"the postmortem is published{b.maybe('by', ' by {}')} (version {b.text('version')})"
    ),
    "postmortem.written": lambda b: (
        f"the postmortem was written{b.maybe('by', ' by {}')} (version {b.text('version')})"
    ),
}
