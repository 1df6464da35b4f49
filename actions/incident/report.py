"""report.incident: the incident report of a batch runbook, with all its sections."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from actions.incident import byhand
from actions.incident.words import line, paragraphs
from engine.contract import ActionParams, Notify, World
from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import format_time, parse_time


class ReportParams(ActionParams):
    """What the report says beside what the incident knows."""

    title: str = Field(
        "Batch Processing Incident Report",
        description="Its heading",
        examples=["Batch Processing Incident Report"],
        max_length=200,
    )
    affected_profiles: list[str] = Field(
        [], description="Profiles that were affected", examples=[["document_extraction"]]
    )
    batches_affected: int | None = Field(
        None, description="How many batches were affected", examples=[12], ge=0
    )
    sla_status: str = Field(
        "", description="Whether the SLA holds", examples=["AT_RISK"], max_length=200
    )
    root_cause: str = Field("", description="What was found", examples=["rate limit of the API"])
    recovery_actions: list[str] = Field(
        [], description="What was done, in order", examples=[["paused submissions"]]
    )
    customer_impact: str = Field("", description="What customers saw", examples=["none"])
    prevention: list[str] = Field(
        [], description="What keeps it from coming back", examples=[["lower the batch size"]]
    )
    facts: dict[str, str | int | float | bool | None] = Field(
        {}, description="Further lines of the summary", examples=[{"Credits": "25 %"}]
    )
    ended_at: str | None = Field(
        None,
        description="When it ended; left out: when the incident was resolved, if it was",
        examples=["2026-11-23T04:10:00Z"],
    )
    name: str | None = Field(
        None,
        description="The file's name; left out: batch_incident_YYYYMMDD_HHMM.md",
        examples=["batch_incident.md"],
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,150}\.md$",
    )


class ReportIncident(Notify[ReportParams]):
    """Writes the report and attaches it to the incident, or to the run where it has none.

    Output: `artifact` and `incident`. Summary: incident id, start, end, profiles, batches, SLA; then root
    cause, recovery actions, customer impact, prevention measures.
    """

    name = "report.incident"
    manual = byhand.report
    summary = "Write the incident report and attach it"
    Params = ReportParams
    risk = "none"

    def send(self, params: ReportParams, world: World, key: str) -> Json:
        now = world.clock.now().replace(microsecond=0)
        text = rendered(params, world.incident.describe(), format_time(now))
        name = params.name or f"batch_incident_{now:%Y%m%d_%H%M}.md"
        return world.incident.attach(key, name, "text/markdown", text.encode())

    def sent(self, params: ReportParams, world: World, key: str) -> bool | None:
        del params
        return world.incident.done(key)


def rendered(params: ReportParams, incident: JsonObject | None, at: str) -> str:
    """Return the report as Markdown."""
    known = incident or {}
    ended = params.ended_at or known.get("resolved_at")
    summary = {
        "Incident ID": known.get("id", "none"),
        "Start Time": _second(known.get("opened_at")),
        "End Time": _second(ended) or "still open",
        "Affected Profiles": params.affected_profiles,
        "Batches Affected": params.batches_affected,
        "SLA Status": params.sla_status,
        **params.facts,
    }
    lines = [f"# {line(params.title)} - {at}", "", "## Summary"]
    lines += [f"- **{line(name)}**: {line(value)}" for name, value in summary.items()]
    lines += ["", "## Root Cause", paragraphs(params.root_cause)]
    lines += ["", "## Recovery Actions", *_listed(params.recovery_actions)]
    lines += ["", "## Customer Impact", paragraphs(params.customer_impact)]
    lines += ["", "## Prevention Measures", *_listed(params.prevention)]
    return "\n".join(lines) + "\n"


def _second(at: str | None) -> str | None:
    """Return a time without its fractions; anything else as it is."""
    if at is None:
        return None
    try:
        return format_time(parse_time(at).replace(microsecond=0))
    except ValueError:
        return at


def _listed(items: Sequence[str]) -> Sequence[str]:
    return [f"- {line(item)}" for item in items] or [line(None)]
