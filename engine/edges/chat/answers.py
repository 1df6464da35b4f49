"""What people are answered, out of the desk's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.domain.canonical import JsonObject
from engine.domain.errors import StanchError
from engine.domain.message import Message, Section, say
from engine.edges.oncall.calls import calls
from engine.edges.problems import problem_of
from engine.incidents.telling.words import cut, first_up, lines

_LIST = 2600


def listing(title: str, told: Sequence[str], nothing: str) -> Message:
    text = lines(list(told), _LIST) if told else nothing
    return Message(title=title, sections=(Section(text),))


def incident_line(row: Mapping[str, Any]) -> str:
    return f"{row['severity']} {row['state']}: {row['title']} ({row['id']}, since {row['opened_at'][:16]}Z)"


def run_line(row: Mapping[str, Any]) -> str:
    reason = f": {cut(str(row['reason']), 120)}" if row.get("reason") else ""
    return f"{row['playbook']} ({row['id']}) {row['state']}{reason}"


def gate_line(row: Mapping[str, Any]) -> str:
    until = f" until {row['expires_at'][:16]}Z" if row.get("expires_at") else ""
    return f"{row['id']}: {row['playbook']} {row['address']}, {row['missing']} more by {row['role']}{until}"


def brake_line(row: Mapping[str, Any]) -> str:
    on = "engaged" if row["engaged"] else "released"
    reason = f": {row['reason']}" if row.get("reason") else ""
    return f"{row['name']} {on} by {row['by']} at {row['at'][:16]}Z{reason}"


def status(
    incidents: Sequence[JsonObject],
    gates: Sequence[JsonObject],
    runs: Sequence[JsonObject],
    brakes: Sequence[JsonObject],
    troubles: Sequence[tuple[str, str]] = (),
) -> Message:
    """Return how things stand."""
    engaged = [brake_line(row) for row in brakes if row["engaged"]]
    parts = (
        ("Open incidents", [incident_line(row) for row in incidents]),
        ("Waiting for approval", [gate_line(row) for row in gates]),
        ("Runs at work", [run_line(row) for row in runs]),
        ("Brakes engaged", engaged),
        ("Messages that could not be delivered yet", [f"{lane}: {why}" for lane, why in troubles]),
    )
    sections = [Section(f"{title}:\n{lines(told, 1200)}") for title, told in parts if told] or [
        Section("All quiet: nothing is open, nothing runs, no brake is engaged.")
    ]
    return Message(title="Status", sections=tuple(sections))


def incident(item: JsonObject) -> Message:
    """Return one incident with its runs and the end of its timeline."""
    told = [f"{row['at'][11:19]} {row['text']}" for row in item["timeline"]]
    sections = [Section(incident_line(item))]
    if item["runs"]:
        sections.append(Section("\n".join(run_line(run) for run in item["runs"])))
    sections.append(Section(lines(told, 1800, "entries")))
    return Message(title=cut(item["title"], 140), sections=tuple(sections), footer=item["id"])


def on_call(view: JsonObject) -> Message:
    """Return who is on call now and next, by schedule, and whom each level calls in which order."""
    duty = [_duty(one) for one in view["schedules"]]
    levels = [f"{level}: {told}" for level, told in calls(view).items()]
    parts = (("On call", duty), ("Called, in this order", levels))
    sections = [Section(f"{title}:\n{lines(told, 1200)}") for title, told in parts if told]
    nothing = Section("No escalation is configured, so nobody is on call: see docs/escalation.md")
    return Message(title="On call", sections=tuple(sections or [nothing]))


def _duty(row: Mapping[str, Any]) -> str:
    if row["trouble"] and not row["on_call"]:
        return f"{row['schedule']}: not known ({cut(row['trouble'], 200)})"
    told = f"{row['schedule']}: {', '.join(row['on_call']) or 'nobody'}"
    following = row["next"]
    if following is None:
        return told
    when = f" from {following['at'][:16]}Z" if following["at"] else ""
    return f"{told}, then {', '.join(following['on_call']) or 'nobody'}{when}"


def run(item: JsonObject) -> Message:
    """Return one run with its steps."""
    told = []
    for step in item["steps"]:
        said = f": {cut(step['message'], 150)}" if step["message"] else ""
        told.append(f"{step['address']} {step['state']}{said}")
    sections = [Section(run_line(item))]
    if told:
        sections.append(Section(lines(told, _LIST, "steps")))
    return Message(title=item["playbook"], sections=tuple(sections), footer=item["id"])


def plan(document: JsonObject, text: str) -> Message:
    """Return a plan; of a long one as much as an answer holds, and where the rest is."""
    room = 9000
    shown = text if len(text) <= room else text[:room].rsplit("\n", 1)[0]
    sections = [Section(code=shown)]
    if len(shown) < len(text):
        left = text[len(shown) :].count("\n")
        sections.append(
            Section(f"{left} lines more: stanch plan {document['playbook']}, or the page")
        )
    return Message(title=f"Plan: {document['playbook']}", sections=tuple(sections))


def refusal(error: StanchError) -> Message:
    """Return what went wrong, and what to do next."""
    problem = problem_of(error)
    hint = f"{first_up(problem.hint)}." if problem.hint else ""
    return say(f"{problem.message.rstrip('.')}.\n{hint}".rstrip())
