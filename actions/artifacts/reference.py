"""How steps speak of an artifact: `{connection, name, sha256, bytes}`, output of one, parameter of another."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from engine.contract import Grant, Target

# Parts of letters, digits, dot, dash and underscore that start with no dot, so none leads elsewhere.
NAME = r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}){0,7}$"


class ArtifactRef(BaseModel):
    """A reference to one artifact. Reading holds the file to its digest."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    connection: str = Field(description="An artifacts connection", examples=["artifacts"])
    name: str = Field(
        description="Its name in the store", examples=["backups/jobs.jsonl"], pattern=NAME
    )
    sha256: str = Field(
        description="SHA-256 of its content, in hexadecimal",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
        pattern=r"^[0-9a-f]{64}$",
    )
    bytes: int = Field(description="Its size", examples=[1048576], ge=0)

    @property
    def target(self) -> Target:
        """The artifact as a target."""
        return Target(self.connection, self.name)


def right(artifact: Target) -> Grant:
    """Return the right to leave, or to read, an artifact of that name."""
    return Grant(artifact.connection, "artifacts", {"name": artifact.path})
