"""The `artifacts` connection: one folder, how large an artifact and all of them may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from actions.artifacts.store import ArtifactStore
from engine.contract import ConnectionKind, Grant, Opening, Target
from engine.contract.fields import Bytes


class ArtifactsSettings(BaseModel):
    """Settings of an `artifacts` connection."""

    model_config = ConfigDict(extra="forbid")

    folder: Path = Field(
        description="Where the files are; workers on several machines need one that they share",
        examples=["var/artifacts"],
    )
    max_bytes: Bytes = Field(
        2 * 2**30, gt=0, description="Largest artifact taken", examples=["2Gi"]
    )
    max_total: Bytes = Field(
        20 * 2**30, gt=0, description="Most that all of them may take", examples=["20Gi"]
    )
    allow: list[str] | None = Field(
        None,
        description="Names that may be used; * stands for any characters. Any where missing",
        examples=[["backups/*"]],
    )


class ArtifactsKind(ConnectionKind):
    """Connections to a folder of artifacts."""

    kind = "artifacts"
    Settings = ArtifactsSettings

    def open(self, opening: Opening) -> ArtifactStore:
        settings = opening.settings
        assert isinstance(settings, ArtifactsSettings)
        return ArtifactStore(
            opening.name,
            settings.folder,
            writable=opening.writable,
            max_bytes=settings.max_bytes,
            max_total=settings.max_total,
        )

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        assert isinstance(settings, ArtifactsSettings)
        if settings.allow is None or any(fnmatchcase(target.path, one) for one in settings.allow):
            return None
        return f"{target.path} is not in the allow-list of connection {target.connection!r}"

    def grant_text(self, settings: BaseModel, grants: Sequence[Grant], user: str) -> str:
        del settings, user
        return "".join(f"{name}\n" for name in sorted({one.detail["name"] for one in grants}))

    def check(self, client: ArtifactStore) -> Mapping[str, str]:
        return client.facts()
