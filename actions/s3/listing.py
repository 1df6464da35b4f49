"""s3.list: the objects below a prefix."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

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
