"""Artifacts: files that steps leave and later steps, incidents and people read, by name and digest."""

from actions.artifacts.connection import ArtifactsKind
from actions.artifacts.reference import NAME, ArtifactRef
from actions.artifacts.store import ArtifactStore, Kept

DECLARATIONS = (ArtifactsKind,)

__all__ = ["DECLARATIONS", "NAME", "ArtifactRef", "ArtifactStore", "ArtifactsKind", "Kept"]
