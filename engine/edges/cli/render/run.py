"""Runs and gates for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from engine.domain.canonical import JsonObject
from engine.edges.cli.render.outputs import outputs
from engine.edges.cli.render.style import (
    STATES,
    clean,
    clock,
    counts_text,
    facts,
    pairs,
    state_text,
    table,
    value_text,
    when,
)


def runs(items: Sequence[JsonObject]) -> RenderableType:
    """Return the table of `stanch runs`."""
    if not items:
        return Text("no runs")
    return table(
        ("RUN", "STATE", "PLAYBOOK", "RULE", "BY", "BEGAN", "REASON"),
        (
            (
                item["id"],
                state_text(item["state"]),
                item["playbook"],
                item["rule"] or "",
                item["requester"],
                when(item["created_at"]),
                item["reason"] or "",
            )
            for item in items
        ),
        fixed=2,
    )


def run(item: JsonObject) -> RenderableType:
    """Return one run: head, steps, open gates, what it waits for."""
    head = facts(
        [
            ("run", Text(item["id"], style="bold")),
            ("playbook", item["playbook"]),
            ("state", state_text(item["state"])),
            ("reason", item["reason"]),
            ("rule", item["rule"]),
            ("incident", item["incident"]),
            ("requested by", item["requester"]),
            ("mode", f"{item['mode']}, priority {item['priority']}"),
            ("began", when(item["created_at"])),
            ("ended", when(item["ended_at"])),
            ("of run", item["parent"]),
            ("inputs", pairs(item.get("inputs") or {})),
            ("plan", item.get("fingerprint")),
        ]
    )
    parts: list[RenderableType] = [head]
    if item.get("steps"):
        parts += [Text(), _steps(item["steps"])]
    for gate_ in item.get("gates") or []:
        if gate_["state"] == "open":
            parts += [Text(), gate(gate_)]
    if item.get("outputs"):
        parts += [Text(), outputs(item["outputs"])]
    person = (item.get("holds") or {}).get("person")
    if person:
        parts += [Text(), Text(f"A person must decide: {clean(person)}", style="bold red")]
        parts.append(Text(after_needs_human(item["id"]), style="dim"))
    return Group(*parts)


def after_needs_human(run_id: str) -> str:
    """Return what a person can do about a run that needs one."""
    return (
        f"Then: stanch retry {run_id}, stanch undo {run_id}, stanch cancel {run_id},\n"
        f'or stanch done {run_id} STEP --note "what you found"'
    )


def _steps(steps: Sequence[JsonObject]) -> RenderableType:
    rows = []
    for step in steps:
        text = step["message"] or step["summary"] or ""
        if step["counts"] and any(step["counts"].values()):
            text = (
                f"{text} ({counts_text(step['counts'])})" if text else counts_text(step["counts"])
            )
        tries = f" x{step['attempts']}" if step["attempts"] > 1 else ""
        rows.append(
            (
                step["address"],
                Text(clean(step["state"]) + tries, style=STATES.get(step["state"], "")),
                step["action"] or step["kind"] or "",
                step["target"] or "",
                clock(step["started_at"]),
                text,
            )
        )
    return table(("STEP", "STATE", "ACTION", "TARGET", "AT", ""), rows)


def gates(items: Sequence[JsonObject]) -> RenderableType:
    """Return the table of gates."""
    if not items:
        return Text("no open gates")
    return table(
        ("GATE", "STATE", "RUN", "PLAYBOOK", "AT", "ROLE", "MISSING", "UNTIL"),
        (
            (
                item["id"],
                state_text(item["state"]),
                item["run"],
                item["playbook"] or "",
                item["address"],
                item["role"],
                f"{item['missing']} of {item['approvals']}",
                when(item["expires_at"]),
            )
            for item in items
        ),
        fixed=3,
    )


def gate(item: JsonObject) -> RenderableType:
    """Return one gate with its votes and, while it is open, the exact command that approves it."""
    text = Text("Gate ", style="bold")
    text.append(clean(item["id"]), style="bold")
    text.append("  ")
    text.append_text(state_text(item["state"]))
    text.append(f"\n  for run {clean(item['run'])}")
    if item["playbook"]:
        text.append(f", playbook {clean(item['playbook'])}")
    text.append(f", at {clean(item['address'])}")
    need = f"{item['approvals']} approval{'s' if item['approvals'] != 1 else ''}"
    text.append(f"\n  needs {need} by role {clean(item['role'])}")
    if item["state"] == "open":
        text.append(f", {item['missing']} missing")
    if item.get("closed_by"):
        text.append(f"\n  closed at {when(item['closed_at'])} UTC by {clean(item['closed_by'])}")
        text.append(f": {clean(item['closed_why'])}" if item["closed_why"] else "")
    if item["expires_at"] and item["state"] == "open":
        text.append(f", until {when(item['expires_at'])} UTC")
    excluded = item["body"].get("excluded")
    if excluded:
        text.append(f"\n  not by {', '.join(map(clean, excluded))}")
    if item["body"].get("summary"):
        text.append(f"\n  {clean(item['body']['summary'])}")
    for drift in item["body"].get("drift") or ():
        text.append(f"\n  changed since: {_difference(drift)}", style="yellow")
    for step, keys in (item["body"].get("rejected") or {}).items():
        for key, why in keys.items():
            text.append(f"\n  left out: {clean(step)}[{clean(key)}]: {clean(why)}", style="yellow")
    for vote in item["votes"]:
        text.append(f"\n  {clean(vote['actor'])} ({clean(vote['via'])}): ")
        text.append(clean(vote["decision"]), style=STATES.get(_voted(vote["decision"]), ""))
        text.append(f" at {when(vote['at'])}")
        if vote["comment"]:
            text.append(f": {clean(vote['comment'])}")
    if item["state"] == "open":
        text.append("\n  see the plan:  ", style="dim")
        text.append(f"stanch show {item['fingerprint'][:16]}")
        text.append("\n  approve it:    ", style="dim")
        text.append(approve_command(item), style="bold")
        text.append("\n  or reject it:  ", style="dim")
        text.append(f"stanch reject {item['id']} --comment WHY")
    return text


def _difference(drift: JsonObject) -> str:
    """Return what was planned and what is, of one difference."""
    place = ": ".join(clean(str(drift[key])) for key in ("address", "field") if drift.get(key))
    was, now = (value_text(drift.get(key), 60) for key in ("planned", "live"))
    return f"{place} was {was}, is {now}"


def _voted(decision: str) -> str:
    return "approved" if decision == "approve" else "rejected"


def approve_command(item: JsonObject) -> str:
    """Return the command that approves exactly the plan that this gate shows."""
    return f"stanch approve {item['id']} --fingerprint {item['fingerprint'][:16]}"
