"""A gate as people see it: the plan with its differences, the buttons; and what it says once it is closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.domain.canonical import JsonObject, canonical_json
from engine.domain.clock import format_time
from engine.domain.message import Button, Message, Section
from engine.domain.people import ENGINE
from engine.incidents.masking import masked_drift, masked_plan
from engine.incidents.telling.settings import Telling
from engine.incidents.telling.words import clock, cut, first_up
from engine.journal.rows import GateRow, VoteRow

SHORT = 2700  # characters of a plan that are shown in the message itself; a longer one is a file
_DRIFT = 6
_OUTLINE = 2400
_DRAFT = 2000


def gate_name(gate_id: str) -> str:
    return f"gate {gate_id}"


def gate_message(
    gate: GateRow, votes: Sequence[VoteRow], document: Any, telling: Telling
) -> Message:
    """Return a gate's message: with buttons while it is open, and who closed it how afterwards."""
    body: Mapping[str, Any] = gate.body
    playbook = str(body.get("playbook", ""))
    if gate.state != "open":
        return Message(
            title=f"{first_up(_CLOSED.get(gate.state, gate.state))}: {playbook}",
            sections=(
                Section(first_up(closing(gate))),
                *_votes(votes),
                *_agreed(gate, document, telling),
            ),
            footer=f"{gate.id} of {gate.run_id}, plan {gate.fingerprint[:16]}",
        )
    plan = shown(document, telling)
    text = telling.plan_text(plan) if plan else ""
    sections = [Section(str(body.get("reason") or body.get("summary") or ""), _facts(gate))]
    sections += _drift(masked_drift(body.get("drift") or [], telling.personal))
    sections += [*_drafts(plan)]
    if text and len(text) <= SHORT:
        sections.append(Section("What will happen:", code=text))
    elif text:
        more = "The whole plan is the file in this message's thread. In short:"
        sections.append(Section(more, code=outline(plan or {})))
    sections += _votes(votes)
    return Message(
        title=f"Approval wanted: {playbook}",
        sections=tuple(sections),
        buttons=_buttons(gate, telling),
        footer=f"{gate.id} of {gate.run_id}, plan {gate.fingerprint[:16]}; "
        f"or /stanch approve {gate.id} {gate.fingerprint[:16]}",
        mentions=(gate.role,),
    )


def _buttons(gate: GateRow, telling: Telling) -> tuple[Button, ...]:
    value = canonical_json({"gate": gate.id, "fingerprint": gate.fingerprint})
    buttons = [
        Button("Approve", "approve", value, "primary"),
        Button("Reject", "reject", value, "danger"),
        Button("With a comment …", "decide", value),
    ]
    if telling.pages:
        buttons.append(Button("Open the page", "page", url=telling.link("runs", gate.run_id)))
    return tuple(buttons)


def _facts(gate: GateRow) -> tuple[tuple[str, str], ...]:
    body: Mapping[str, Any] = gate.body
    facts = [
        ("Run", f"{gate.run_id}, {gate.address}"),
        ("Wants", f"{gate.approvals} of role {gate.role}"),
        ("Until", format_time(gate.expires_at)[:16] + "Z" if gate.expires_at else "decided"),
        ("If nobody decides", str(body.get("on_timeout") or "abort")),
    ]
    if body.get("budget"):
        facts.append(("Touches", ", ".join(f"{n} {unit}" for unit, n in body["budget"].items())))
    excluded = [name for name in body.get("excluded") or () if name != ENGINE.name]
    if excluded:
        facts.append(("May not decide", ", ".join(excluded)))
    if body.get("revision"):
        facts.append(("Playbook at", str(body["revision"])[:12]))
    return tuple(facts)


def _drift(found: Sequence[Mapping[str, Any]]) -> list[Section]:
    if not found:
        return []
    told = [
        f"{one.get('address')}: {one.get('field')} was {_value(one.get('planned'))}, "
        f"is {_value(one.get('live'))}"
        for one in found[:_DRIFT]
    ]
    if len(found) > _DRIFT:
        told.append(f"and {len(found) - _DRIFT} more")
    return [Section("The world changed since it was last shown:", code="\n".join(told))]


def _value(value: Any) -> str:
    return cut(str(value), 120)


def _drafts(plan: Mapping[str, Any] | None) -> list[Section]:
    """What steps would tell people outside: a draft that is approved with the plan."""
    found = []
    for step in (plan or {}).get("steps", ()):
        params = step.get("params")
        if step.get("state") != "notify" or not isinstance(params, Mapping):
            continue
        text = params.get("text") or params.get("summary")
        if text:
            to = params.get("channel") or params.get("to") or params.get("connection") or ""
            head = f"Draft of {step['address']}{f' to {to}' if to else ''}:"
            found.append(Section(head, code=cut(str(text), _DRAFT)))
    return found[:3]


def _votes(votes: Sequence[VoteRow]) -> list[Section]:
    if not votes:
        return []
    verb = {"approve": "approved", "reject": "rejected"}
    told = [
        f"{clock(vote.at)} {vote.actor} {verb.get(vote.decision, vote.decision)}"
        f"{f': {cut(vote.comment, 300)}' if vote.comment else ''}"
        for vote in votes[-10:]
    ]
    return [Section("\n".join(told))]


def _agreed(gate: GateRow, document: Any, telling: Telling) -> list[Section]:
    """What people said yes to stays readable once the buttons are gone."""
    plan = shown(document, telling) if gate.state == "approved" else None
    changes = outline(plan) if plan else ""
    return [Section("What was approved:", code=changes)] if changes else []


_CLOSED = {
    "approved": "approved",
    "rejected": "rejected",
    "expired": "expired",
    "void": "void",
    "withdrawn": "no longer asked",
    "escalated": "asked of somebody else",
}


def closing(gate: GateRow) -> str:
    """Say when, by whom and why a gate was closed."""
    state = _CLOSED.get(gate.state, gate.state)
    at = f" at {format_time(gate.closed_at)[:19]}Z" if gate.closed_at else ""
    by = f" by {gate.closed_by}" if gate.closed_by else ""
    why = gate.closed_why
    told = f": {why}" if why and not why.startswith(state) else ""
    return f"{state}{at}{by}{told}"


def shown(plan: Any, telling: Telling) -> JsonObject | None:
    """Return a plan as a channel, which has many readers, may see it."""
    return masked_plan(plan, telling.personal) if plan else None


def outline(plan: Mapping[str, Any]) -> str:
    """Return a plan's changes, a line each, as many as fit."""
    told: list[str] = []
    size = 0
    changes = [
        step for step in plan.get("steps", ()) if step["state"] in {"planned", "unknown", "restore"}
    ]
    for n, step in enumerate(changes):
        what = step.get("summary") or step.get("reason") or step.get("title") or ""
        line = cut(
            f"{step['address']}: {what} ({step.get('target') or 'target not known yet'})", 300
        )
        size += len(line) + 1
        if size > _OUTLINE:
            told.append(f"and {len(changes) - n} more")
            break
        told.append(line)
    return "\n".join(told)
