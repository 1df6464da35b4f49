"""Incidents, alerts, timelines and brakes for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from engine.domain.canonical import JsonObject
from engine.edges.cli.render.style import clean, facts, pairs, state_text, table, when


def incidents(items: Sequence[JsonObject]) -> RenderableType:
    """Return the table of `stanch incidents`."""
    if not items:
        return Text("no incidents")
    return table(
        ("INCIDENT", "SEVERITY", "STATE", "TITLE", "RULE", "OPENED", "RESOLVED"),
        (
            (
                item["id"],
                item["severity"],
                state_text(item["state"]),
                item["title"],
                item["rule"],
                when(item["opened_at"]),
                when(item["resolved_at"]),
            )
            for item in items
        ),
    )


def incident(item: JsonObject) -> RenderableType:
    """Return one incident: head, alerts, runs, timeline."""
    parts: list[RenderableType] = [
        facts(
            [
                ("incident", Text(item["id"], style="bold")),
                ("title", item["title"]),
                ("severity", item["severity"]),
                ("state", state_text(item["state"])),
                ("rule", item["rule"]),
                ("opened", when(item["opened_at"])),
                ("resolved", when(item["resolved_at"])),
            ]
        )
    ]
    lost = {name: number for name, number in (item.get("missing") or {}).items() if number}
    if lost:
        told = f"Alerts of it are missing: {pairs(lost)}"
        parts += [Text(), Text(told, style="yellow")]
    if item.get("alerts"):
        parts += [Text(), alerts(item["alerts"])]
    if item.get("runs"):
        rows = (
            (run["id"], state_text(run["state"]), run["playbook"], run.get("reason") or "")
            for run in item["runs"]
        )
        parts += [Text(), table(("RUN", "STATE", "PLAYBOOK", "REASON"), rows)]
    if item.get("timeline"):
        parts += [Text(), Text("Timeline (UTC)", style="bold"), timeline(item["timeline"])]
    return Group(*parts)


def alerts(items: Sequence[JsonObject]) -> RenderableType:
    """Return the table of `stanch alerts`."""
    if not items:
        return Text("no alerts")
    return table(
        ("ALERT", "STATUS", "NAME", "LABELS", "BEGAN", "CAME"),
        (
            (
                item["id"],
                state_text("resolved" if item.get("resolved") else "firing"),
                item["labels"].get("alertname", ""),
                _labels(item["labels"]),
                when(item["starts_at"]),
                f"{item['deliveries']} times" if item.get("deliveries", 1) > 1 else "once",
            )
            for item in items
        ),
    )


def alert(item: JsonObject) -> RenderableType:
    """Return one alert with what every rule decided about it."""
    parts: list[RenderableType] = [
        facts(
            [
                ("alert", Text(item["id"], style="bold")),
                ("status", state_text("resolved" if item.get("resolved") else item["status"])),
                ("labels", pairs(item["labels"])),
                *((name, text) for name, text in item["annotations"].items()),
                ("began", when(item["starts_at"])),
                ("ended", when(item["ends_at"])),
                ("received", when(item.get("received_at"))),
                ("fingerprint", item["fingerprint"]),
            ]
        )
    ]
    if item.get("decisions"):
        rows = (
            (
                decision["rule"] or "(none)",
                decision["verdict"],
                decision["reason"],
                decision["run"] or "",
            )
            for decision in item["decisions"]
        )
        parts += [Text(), table(("RULE", "DECISION", "WHY", "RUN"), rows)]
    return Group(*parts)


def _labels(labels: dict[str, str]) -> str:
    return pairs({name: value for name, value in labels.items() if name != "alertname"}, 40)


def timeline(lines: Sequence[JsonObject]) -> RenderableType:
    """Return `time  text` lines, oldest first."""
    text = Text()
    for number, line in enumerate(lines):
        text.append("\n" if number else "")
        text.append(f"{when(line['at'])}  ", style="dim")
        text.append(clean(line["text"]))
    return text
