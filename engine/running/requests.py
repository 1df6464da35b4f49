"""A request for a run, as triage, schedules and people make it."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.domain.canonical import JsonObject
from engine.domain.people import ENGINE, Actor
from engine.domain.run import RunMode


@dataclass(frozen=True)
class RunRequest:
    """What a run is to do and for whom.

    Attributes:
        inputs: rendered; checked against the playbook's schema by whoever creates the run.
        alert: the alert as JSON with its `id`, where one asked for the run.
        trigger: `{kind, labels, annotations, at, value}`, kind `alert`, `schedule`, `query` or `manual`.
        priority: 0 to 9, higher first.
        group: concurrency group; no two rules' runs of one group are started side by side.
        cooldown: seconds after the run's end in which its rule starts no other.
    """

    playbook: str
    inputs: JsonObject = field(default_factory=dict)
    rule: str | None = None
    alert: JsonObject | None = None
    trigger: JsonObject = field(default_factory=dict)
    mode: RunMode = RunMode.APPROVE
    priority: int = 5
    requester: Actor = ENGINE
    incident_id: str | None = None
    group: str | None = None
    cooldown: float = 0.0
