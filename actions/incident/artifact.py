"""incident.artifact: a file for those who look, and for the postmortem."""

from __future__ import annotations

import json
from typing import Any, Self

from pydantic import Field, model_validator

from actions.artifacts.reference import ArtifactRef
from actions.incident import byhand
from engine.contract import ActionParams, Notify, World
from engine.domain.canonical import Json


class ArtifactParams(ActionParams):
    """A file: exactly one of text, data and artifact."""

    name: str = Field(
        description="The file's name",
        examples=["error-rows.json"],
        pattern=r"^[^/\\\x00-\x1f\x7f]{1,200}$",
    )
    content_type: str | None = Field(
        None,
        description="Its type; left out: text/plain, or application/json for data",
        examples=["text/csv"],
        max_length=100,
    )
    text: str | None = Field(None, description="Its content as text", examples=["id\n1\n"])
    data: Any = Field(None, description="Its content as JSON", examples=[[{"id": 1}]])
    artifact: ArtifactRef | None = Field(
        None,
        description="A file that another step left in an artifacts connection",
        examples=["{{ steps.backup.artifact }}"],
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [self.text is not None, self.data is not None, self.artifact is not None]
        if sum(given) != 1:
            raise ValueError("give one of text, data and artifact")
        return self


class IncidentArtifact(Notify[ArtifactParams]):
    """Attaches a file to the incident, or to the run where it has none. Output: `artifact`."""

    name = "incident.artifact"
    manual = byhand.artifact
    summary = "Attach a file to the incident"
    Params = ArtifactParams
    risk = "none"

    def send(self, params: ArtifactParams, world: World, key: str) -> Json:
        if params.artifact is not None:
            kind = params.content_type or "application/octet-stream"
            return world.incident.refer(key, params.name, kind, params.artifact.model_dump())
        if params.text is not None:
            kind, content = params.content_type or "text/plain", params.text
        else:
            kind = params.content_type or "application/json"
            content = json.dumps(params.data, indent=1, ensure_ascii=False) + "\n"
        raw = content.encode("utf-8", "replace")
        return world.incident.attach(key, params.name, kind, raw)

    def sent(self, params: ArtifactParams, world: World, key: str) -> bool | None:
        del params
        return world.incident.done(key)
