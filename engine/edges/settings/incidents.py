"""`incidents:` what is kept with an incident, and its postmortem."""

from __future__ import annotations

from pydantic import Field

from engine.incidents.handling import ArtifactLimits
from engine.language.fields import Form, Size

_SHIPPED = ArtifactLimits()


class IncidentsConfig(Form):
    """What is kept with an incident."""

    max_artifact: Size = Field(_SHIPPED.each, description="Largest artifact kept here; 1Mi")
    max_artifacts: Size = Field(
        _SHIPPED.total, description="All artifacts of one incident kept here; 50Mi"
    )
    content_types: list[str] = Field(
        list(_SHIPPED.types), description="Content types that are taken; text/* for all of a kind"
    )

    def limits(self) -> ArtifactLimits:
        """Return the limits, ready to be asked."""
        return ArtifactLimits(
            int(self.max_artifact), int(self.max_artifacts), tuple(self.content_types)
        )
