"""How a rehearsal describes objects."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from worlds.rehearsal.specs import Span, Spec


class ObjectSpec(Spec):
    """An object: exactly one of text, json, base64, file and size."""

    text: str | None = None
    json_: Any = Field(None, alias="json")
    base64: str | None = None
    file: str | None = Field(None, description="A file beside the rehearsal")
    size: int | None = Field(None, ge=0, description="So many bytes, whatever they are")
    content_type: str = "binary/octet-stream"
    metadata: dict[str, str] = {}
    age: Span = Field(0.0, description="How long ago it was written")


class BucketSpec(Spec):
    """A bucket."""

    versioned: bool = Field(False, description="Whether versions are kept")
    objects: dict[str, str | ObjectSpec] = Field(
        {}, description="Objects by key; a text is its data"
    )


class BucketsSpec(Spec):
    """An S3 service."""

    buckets: dict[str, BucketSpec] = Field(description="Buckets by name")

    def holds(self, target: str) -> bool | None:
        bucket, _, key = target.partition("/")
        return bucket in self.buckets and key in self.buckets[bucket].objects
