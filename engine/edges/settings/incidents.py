"""`incidents:` what is kept with an incident, and its postmortem."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, PlainValidator, WithJsonSchema

from engine.incidents.artifacts import ArtifactLimits
from engine.language.forms import Form, bad_type
from engine.language.valuefields import Size

_SHIPPED = ArtifactLimits()


def _folder(value: object) -> Path:
    if not isinstance(value, str) or not value:
        bad_type(value, "a folder")
    return Path(value)


FolderPath = Annotated[Path, PlainValidator(_folder), WithJsonSchema({"type": "string"})]


class IncidentsConfig(Form):
    """What is kept with an incident."""

    max_artifact: Size = Field(_SHIPPED.each, description="Largest artifact kept here; 1Mi")
    max_artifacts: Size = Field(
        _SHIPPED.total, description="All artifacts of one incident kept here; 50Mi"
    )
    content_types: list[str] = Field(
        list(_SHIPPED.types), description="Content types that are taken; text/* for all of a kind"
    )

    templates: FolderPath | None = Field(
        None,
        description="Folder with postmortem templates of your own: postmortem.md.j2 and so on",
    )

    def limits(self) -> ArtifactLimits:
        """Return the limits, ready to be asked."""
        return ArtifactLimits(
            int(self.max_artifact), int(self.max_artifacts), tuple(self.content_types)
        )
