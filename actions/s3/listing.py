"""s3.list and s3.head: the objects below a prefix, and one object or bucket."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from actions.s3 import byhand
from actions.s3.connection import S3Client
from engine.contract import ActionParams, Grant, Read, Target, World
from engine.domain.canonical import Json
from engine.domain.clock import format_time

BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"  # Amazon's rules for names


class ListParams(ActionParams):
    """Parameters of a listing."""

    connection: str = Field(description="An s3 connection", examples=["objects"])
    bucket: str = Field(description="The bucket", examples=["etl-output"], pattern=BUCKET)
    prefix: str = Field("", description="What keys start with", examples=["tmp/2026-11-23/"])
    max_keys: int = Field(
        1000, gt=0, le=100_000, description="Most objects listed", examples=[1000]
    )


class S3List(Read[ListParams]):
    """A listing, in the order of keys.

    Output: `objects` of `{key, bytes, etag, modified}`, `count`, `bytes`, and `truncated` where there are
    more than `max_keys`.
    """

    name = "s3.list"
    manual = byhand.listed
    summary = "List objects below a prefix"
    Params = ListParams

    def targets(self, params: ListParams) -> Sequence[Target]:
        return (Target(params.connection, f"{params.bucket}/{params.prefix}"),)

    def grants(self, params: ListParams) -> Sequence[Grant]:
        detail = {
            "action": "s3:ListBucket",
            "resource": f"arn:aws:s3:::{params.bucket}",
            "prefix": f"{params.prefix}*",
        }
        return (Grant(params.connection, "s3", detail),)

    def read(self, params: ListParams, world: World) -> Json:
        client = world.client(params.connection, S3Client)
        found = client.objects(params.bucket, params.prefix, params.max_keys + 1)
        kept = found[: params.max_keys]
        return {
            "objects": [
                {
                    "key": item["Key"],
                    "bytes": item["Size"],
                    "etag": item["ETag"].strip('"'),
                    "modified": format_time(item["LastModified"]),
                }
                for item in kept
            ],
            "count": len(kept),
            "bytes": sum(item["Size"] for item in kept),
            "truncated": len(found) > params.max_keys,
        }


class HeadParams(ActionParams):
    """Parameters of a look."""

    connection: str = Field(description="An s3 connection", examples=["objects"])
    bucket: str = Field(description="The bucket", examples=["etl-output"], pattern=BUCKET)
    key: str | None = Field(
        None,
        description="The object's key; the bucket itself where missing",
        examples=["tmp/a.parquet"],
        min_length=1,
        max_length=1024,
    )


class S3Head(Read[HeadParams]):
    """One object, or a bucket, that the credentials may reach.

    Output: `exists`, and of an object `bytes`, `etag`, `modified`, `content_type`, `metadata`, `version`.
    A bucket that is not there is a failure, as one that may not be reached is.
    """

    name = "s3.head"
    manual = byhand.head
    summary = "Look whether an object or a bucket is there"
    Params = HeadParams

    def targets(self, params: HeadParams) -> Sequence[Target]:
        return (Target(params.connection, f"{params.bucket}/{params.key or ''}"),)

    def grants(self, params: HeadParams) -> Sequence[Grant]:
        bucket = f"arn:aws:s3:::{params.bucket}"
        needed = [("s3:ListBucket", bucket)]
        needed += [("s3:GetObject", f"{bucket}/{params.key}")] if params.key else []
        return tuple(
            Grant(params.connection, "s3", {"action": action, "resource": on})
            for action, on in needed
        )

    def read(self, params: HeadParams, world: World) -> Json:
        client = world.client(params.connection, S3Client)
        if params.key is None:
            with client.calling() as boto:
                boto.head_bucket(Bucket=params.bucket)
            return {"exists": True}
        head = client.head(params.bucket, params.key)
        if head is None:
            return {"exists": False}
        return {
            "exists": True,
            "bytes": head["ContentLength"],
            "etag": head["ETag"].strip('"'),
            "modified": format_time(head["LastModified"]),
            "content_type": head.get("ContentType"),
            "metadata": dict(head.get("Metadata", {})),
            "version": head.get("VersionId"),
        }
