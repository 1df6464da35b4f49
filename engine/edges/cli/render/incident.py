"""Incidents, alerts, timelines and brakes for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from engine.domain.canonical import JsonObject
from engine.domain.clock import spell
from engine.edges.cli.render.style import clean, facts, pairs, state_text, table, when
from engine.edges.oncall.calls import calls


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
                *_people(item),
                *_spans(item.get("times") or {}),
            ]
        )
    ]
    if item.get("merged_into"):
        parts += [Text(), Text(f"merged into {item['merged_into']}", style="yellow")]
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
    if item.get("artifacts"):
        kept = (
            (one["name"], f"{one['bytes']:,}", one["by"], _where(one)) for one in item["artifacts"]
        )
        parts += [Text(), table(("ARTIFACT", "BYTES", "BY", "WHERE"), kept)]
    if item.get("pages"):
        parts += [Text(), pages(item["pages"])]
    if item.get("timeline"):
        parts += [Text(), Text("Timeline (UTC)", style="bold"), timeline(item["timeline"])]
    return Group(*parts)


def _people(item: JsonObject) -> list[tuple[str, str | Text | None]]:
    return [(name, who) for name, who in sorted((item.get("roles") or {}).items())]


def _spans(times: JsonObject) -> list[tuple[str, str | Text | None]]:
    """`time to …` lines of what has happened so far."""
    seconds = times.get("seconds") or {}
    return [
        (f"time to {name}", spell(value)) for name, value in seconds.items() if value is not None
    ]


def _where(artifact: JsonObject) -> str:
    reference = artifact["reference"]
    return "here" if reference is None else f"{reference['connection']}: {reference['name']}"


def pages(items: Sequence[JsonObject]) -> RenderableType:
    """Return the table of `stanch pages`."""
    if not items:
        return Text("nobody is called")
    return table(
        ("PAGE", "LEVEL", "STATE", "ABOUT", "REASON", "SINCE", "SEEN BY"),
        (
            (
                item["id"],
                item["level"],
                state_text(item["state"]),
                item["subject"],
                item["reason"],
                when(item["raised_at"]),
                item["seen_by"] or "",
            )
            for item in items
        ),
    )


def page(item: JsonObject) -> RenderableType:
    """Return one page with its messages."""
    sent = (
        (one["contact"], next(iter(one["way"]), ""), one["event"], one["state"], one["error"])
        for one in item.get("messages", ())
    )
    parts: list[RenderableType] = [pages([item])]
    if item.get("messages"):
        parts += [Text(), table(("CONTACT", "WAY", "EVENT", "STATE", "TROUBLE"), sent)]
    return Group(*parts)


def on_call(data: JsonObject) -> RenderableType:
    """Return who is on call and whom each chain calls."""
    parts: list[RenderableType] = []
    if data["schedules"]:
        duty = (
            (
                one["schedule"],
                ", ".join(one["on_call"]) or "nobody",
                next_text(one["next"]),
                one["source"] or "",
                Text(one["trouble"] or "", style="red"),
            )
            for one in data["schedules"]
        )
        parts += [table(("SCHEDULE", "ON CALL", "NEXT", "BY", "TROUBLE"), duty), Text()]
    rungs = (
        (
            chain["chain"],
            str(number),
            rung["title"],
            rung["on_call"] or "",
            spell(rung["within"]),
            ", ".join(rung["only"]),
        )
        for chain in data["chains"]
        for number, rung in enumerate(chain["contacts"], 1)
    )
    if not data["chains"]:
        return Group(
            *parts, Text("no escalation is configured; see escalation: in docs/escalation.md")
        )
    parts.append(table(("CHAIN", "", "CONTACT", "SCHEDULE", "WITHIN", "ONLY"), rungs))
    return Group(*parts, Text(), _levels(data))


def _levels(data: JsonObject) -> RenderableType:
    told = calls(data)
    rows = ((level, rule["chain"], told[level]) for level, rule in data["levels"].items())
    return table(("LEVEL", "CHAIN", "CALLS"), rows)


def next_text(following: JsonObject | None) -> str:
    """Who comes next, and from when, where that is known."""
    if following is None:
        return ""
    names = ", ".join(following["on_call"]) or "nobody"
    return f"{names} from {following['at'][:16]}Z" if following["at"] else names


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
