"""incident.update, incident.note and incident.escalate."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from actions.incident import byhand
from engine.contract import ActionParams, Notify, World
from engine.domain.canonical import Json


class UpdateParams(ActionParams):
    """What changes; at least one of severity, status and title."""

    severity: Literal["P0", "P1", "P2"] | None = Field(
        None, description="How bad it is", examples=["P0"]
    )
    status: Literal["acknowledged", "mitigated", "resolved", "closed"] | None = Field(
        None,
        description="Its state; `verified` comes from a verification query alone",
        examples=["mitigated"],
    )
    title: str | None = Field(
        None, description="One line", examples=["ETL stands"], min_length=1, max_length=300
    )
    reason: str = Field(
        description="Why; others read it",
        examples=["customers see errors"],
        min_length=1,
        max_length=2000,
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.severity is None and self.status is None and self.title is None:
            raise ValueError("name at least one of severity, status and title")
        return self


class IncidentUpdate(Notify[UpdateParams]):
    """Changes the run's incident. Output: `incident`, `done`, and `reason` where nothing was written.

    A run without an incident changes nothing and goes on. An incident with runs at work, this one among
    them, is not resolved or closed: that fails as a mistake in what was given.
    """

    name = "incident.update"
    manual = byhand.update
    summary = "Change the incident's severity, state or title"
    Params = UpdateParams
    risk = "low"

    def send(self, params: UpdateParams, world: World, key: str) -> Json:
        return world.incident.update(
            key,
            severity=params.severity,
            status=params.status,
            title=params.title,
            reason=params.reason,
        )

    def sent(self, params: UpdateParams, world: World, key: str) -> bool | None:
        del params
        return world.incident.done(key)


class NoteParams(ActionParams):
    """A note."""

    text: str = Field(
        description="What others should know, plain text",
        examples=["12 snapshots failed: parse_error"],
        min_length=1,
        max_length=20_000,
    )


class IncidentNote(Notify[NoteParams]):
    """Writes into the incident's timeline. Output: `incident`, `done`, `reason`."""

    name = "incident.note"
    manual = byhand.text
    summary = "Write a note into the incident's timeline"
    Params = NoteParams
    risk = "none"

    def send(self, params: NoteParams, world: World, key: str) -> Json:
        return world.incident.note(key, params.text)

    def sent(self, params: NoteParams, world: World, key: str) -> bool | None:
        del params
        return world.incident.done(key)


class EscalateParams(ActionParams):
    """Whom to call."""

    level: Literal["warning", "critical", "emergency"] = Field(
        "critical", description="How loudly", examples=["emergency"]
    )
    reason: str = Field(
        description="What people read first",
        examples=["four failures in a row"],
        min_length=1,
        max_length=2000,
    )
    chain: str | None = Field(
        None, description="An escalation chain; left out: the level's", examples=["default"]
    )


class IncidentEscalate(Notify[EscalateParams]):
    """Calls people by an escalation chain, until one of them has seen it. Output: `page`, `level`.

    The step does not wait for them. A run without an incident calls about itself.
    """

    name = "incident.escalate"
    manual = byhand.escalate
    summary = "Call people by an escalation chain"
    Params = EscalateParams
    risk = "low"

    def send(self, params: EscalateParams, world: World, key: str) -> Json:
        return world.incident.escalate(key, params.level, params.reason, params.chain)

    def sent(self, params: EscalateParams, world: World, key: str) -> bool | None:
        del params
        return world.incident.done(key)
