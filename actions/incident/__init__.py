"""The run's incident: severity, state, notes, files, and calling people."""

from actions.incident.acting import IncidentEscalate, IncidentNote, IncidentUpdate
from actions.incident.artifact import IncidentArtifact
from actions.incident.report import ReportIncident
from actions.incident.status import ReportStatus

DECLARATIONS = (
    IncidentUpdate,
    IncidentNote,
    IncidentArtifact,
    IncidentEscalate,
    ReportIncident,
    ReportStatus,
)

__all__ = [
    "DECLARATIONS",
    "IncidentArtifact",
    "IncidentEscalate",
    "IncidentNote",
    "IncidentUpdate",
    "ReportIncident",
    "ReportStatus",
]
