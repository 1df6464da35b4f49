"""The live view for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from engine.domain.canonical import JsonObject
from engine.domain.clock import spell
from engine.edges.cli.render.style import clean, state_text, table, when

_ROWS = 25


def top(found: JsonObject) -> RenderableType:
    """Return the whole view."""
    parts: list[RenderableType] = [_head(found), Text()]
    parts += [
        Text(f"{clean(brake['name'])}: {clean(brake.get('reason', ''))}", style="bold red")
        for brake in found["brakes"]
    ]
    if found["active"]:
        parts.append(
            table(
                ("RUN", "P", "PLAYBOOK", "STATE", "AGE", "WHY"),
                (
                    (
                        run["id"],
                        str(run["priority"]),
                        run["playbook"],
                        state_text(run["state"]),
                        spell(run["age"]),
                        run["reason"],
                    )
                    for run in found["active"][:_ROWS]
                ),
            )
        )
    else:
        parts.append(Text("no run is under way"))
    more = len(found["active"]) - _ROWS
    if more > 0:
        parts.append(Text(f"{more} more: stanch runs", style="dim"))
    parts += _batches(found["batches"]) + _errors(found["recent"]["errors"])
    if found["gates"]:
        parts += [Text(), Text("waits for people", style="bold")]
        parts.append(
            table(
                ("GATE", "PLAYBOOK", "ROLE", "MISSING", "UNTIL"),
                (
                    (
                        gate["id"],
                        gate["playbook"] or "",
                        gate["role"],
                        str(gate["missing"]),
                        when(gate["expires_at"]),
                    )
                    for gate in found["gates"]
                ),
            )
        )
    return Group(*parts)


def _batches(batches: list[JsonObject]) -> list[RenderableType]:
    if not batches:
        return []
    lines = (
        (
            batch["run"],
            str(batch["priority"]),
            batch["step"],
            f"{batch['done'] + batch['failed']}/{batch['total']} ({batch['progress']:.0%})",
            str(batch["failed"]),
            spell(batch["eta"]) if batch["eta"] is not None else "",
        )
        for batch in batches[:_ROWS]
    )
    head = ("RUN", "P", "BATCH", "ITEMS", "FAILED", "LEFT")
    return [Text(), Text("batches under way", style="bold"), table(head, lines)]


def _errors(errors: list[JsonObject]) -> list[RenderableType]:
    if not errors:
        return []
    lines = (
        (when(run["ended_at"]), run["id"], run["playbook"], state_text(run["state"]), run["reason"])
        for run in errors
    )
    head = ("ENDED", "RUN", "PLAYBOOK", "STATE", "WHY")
    return [Text(), Text("recent errors", style="bold"), table(head, lines)]


def warmth(found: JsonObject) -> str:
    """What was fetched ahead and how often it was there, in a line; empty where nothing warms up."""
    if found["state"] == "off":
        return ""
    text = f"warm-up {found['state']}"
    if found["began"]:
        text += f" in {spell(found['seconds'])}"
    grown = found["memory"]["grown"]
    if grown is not None:
        text += f", {grown / 2**20:.1f} MiB"
    rates = (
        f"{what} {counts['rate']:.0%} of {counts['hits'] + counts['misses']}"
        for what, counts in found["uses"].items()
        if counts["rate"] is not None
    )
    text += f"; found there: {', '.join(rates) or 'nothing was needed yet'}"
    if found["notes"]:
        text += f"; not fetched: {len(found['notes'])} ({found['notes'][0]})"
    return text


def _head(found: JsonObject) -> Text:
    recent = found["recent"]
    text = Text(f"Stanch  {when(found['at'])}", style="bold")
    text.append(f"  {clean(found['where'])}\n", style="dim")
    states = ", ".join(
        f"{number} {state.replace('_', ' ')}" for state, number in found["states"].items()
    )
    text.append(f"under way: {states or 'nothing'}")
    if found["queues"]:
        waits = ", ".join(
            f"{number} of priority {name}" for name, number in found["queues"].items()
        )
        text.append(f"\nqueued: {waits}")
    if recent["ended"]:
        text.append(f"\nlast 24 h: {recent['ended']} ended, {recent['success']:.0%} well")
        text.append(f", median {spell(recent['median_seconds'])}")
    if warm := warmth(found["warmup"]):
        text.append(f"\n{clean(warm)}", style="dim")
    return text
