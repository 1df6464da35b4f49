"""report.status: how it stands, for those affected."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from actions.incident import byhand
from actions.incident.words import line, paragraphs
from engine.contract import ActionParams, Notify, World
from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import format_time


class StatusParams(ActionParams):
    """What is told."""

    state: Literal["investigating", "identified", "monitoring", "resolved"] = Field(
        description="How far it is", examples=["identified"]
    )
    text: str = Field(
        description="What those affected should know, plain text",
        examples=["Processing is delayed; nothing is lost."],
        min_length=1,
        max_length=10_000,
    )
    affected: list[str] = Field(
        [], description="What or who is affected", examples=[["invoice_processing"]]
    )
    recovery_hours: float | None = Field(
        None, description="Hours until it should be over", examples=[6], ge=0
    )
    next_update: str = Field("", description="When there is news", examples=["04:00 UTC"])
    rows: list[dict[str, Any]] = Field(
        [],
        description="A table, such as batches with their SLA",
        examples=[[{"batch": "b-1", "sla": "AT_RISK"}]],
        max_length=1000,
    )
    name: str = Field(
        "status-report",
        description="The files' name, without ending",
        examples=["status-report"],
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,150}$",
    )


class ReportStatus(Notify[StatusParams]):
    """Writes a status report as Markdown and attaches it. It is sent to nobody: a later step does, after a gate.

    Output: `text` (Markdown), `data` (the same as JSON), `artifact`, `incident`.
    """

    name = "report.status"
    manual = byhand.status
    summary = "Write a status report for those affected"
    Params = StatusParams
    risk = "none"

    def send(self, params: StatusParams, world: World, key: str) -> Json:
        incident = world.incident.describe()
        at = format_time(world.clock.now().replace(microsecond=0))
        text = rendered(params, incident, at)
        kept = world.incident.attach(key, f"{params.name}.md", "text/markdown", text.encode())
        data = {
            "incident_id": (incident or {}).get("id"),
            "severity": (incident or {}).get("severity"),
            "at": at,
            **params.model_dump(exclude={"name"}),
        }
        return {**kept, "text": text, "data": data}

    def sent(self, params: StatusParams, world: World, key: str) -> bool | None:
        del params
        return world.incident.done(key)


def rendered(params: StatusParams, incident: JsonObject | None, at: str) -> str:
    """Return the report as Markdown."""
    known = incident or {}
    lines = [f"# Status: {params.state} - {at}", ""]
    if known:
        lines.append(f"- **Incident**: {line(known['id'])}")
    if params.affected:
        lines.append(f"- **Affected**: {line(params.affected)}")
    if params.recovery_hours is not None:
        lines.append(f"- **Estimated recovery**: {params.recovery_hours:g} h")
    if params.next_update:
        lines.append(f"- **Next update**: {line(params.next_update)}")
    lines += ["", paragraphs(params.text)]
    if params.rows:
        names = list(dict.fromkeys(name for row in params.rows for name in row))
        lines += ["", f"| {' | '.join(line(name) for name in names)} |"]
        lines.append(f"|{'---|' * len(names)}")
        for row in params.rows:
            cells = " | ".join(line(row[name]) if name in row else "" for name in names)
            lines.append(f"| {cells} |")
    return "\n".join(lines) + "\n"
