"""s3.copy: one object to another place, as the plan saw both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from pydantic import Field, model_validator

from actions.s3 import byhand
from actions.s3.connection import S3Client
from actions.s3.listing import BUCKET
from actions.s3.written import KEY_NOTE, Written, earlier_state, others_write, overtaken, receipt_of
from engine.contract import (
    ActionFailed,
    ActionParams,
    Category,
    Grant,
    Planned,
    Receipt,
    Target,
    Unplannable,
    World,
)
from engine.domain.canonical import JsonObject

_MOST = 5 * 2**30  # what CopyObject takes in one request
_HEADERS = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage")


class CopyParams(ActionParams):
    """Parameters of a copy."""

    connection: str = Field(description="An s3 connection", examples=["objects"])
    bucket: str = Field(
        description="The bucket that is copied from", examples=["etl-output"], pattern=BUCKET
    )
    key: str = Field(
        description="The object that is copied",
        examples=["raw/a.json"],
        min_length=1,
        max_length=1024,
    )
    to_bucket: str | None = Field(
        None, description="The other bucket; the same where missing", examples=["etl-backup"]
    )
    to_key: str = Field(
        description="The copy's key", examples=["kept/a.json"], min_length=1, max_length=1024
    )
    overwrite: bool = Field(
        False, description="Whether the copy may replace an object", examples=[True]
    )

    @model_validator(mode="after")
    def _elsewhere(self) -> Self:
        if (self.to_bucket or self.bucket, self.to_key) == (self.bucket, self.key):
            raise ValueError("the copy must go to another key or bucket")
        return self


class S3Copy(Written[CopyParams]):
    """Copies one object within a server, its type and metadata with it.

    The source is held to the plan's ETag by the server; the place of the copy is looked at just before.
    Undo removes the copy.
    """

    name = "s3.copy"
    manual = byhand.copy
    summary = "Copy one object"
    Params = CopyParams
    risk = "medium"

    def targets(self, params: CopyParams) -> Sequence[Target]:
        return (_source(params), _place(params))

    def locks(self, params: CopyParams) -> Sequence[Target]:
        return (_place(params),)

    def grants(self, params: CopyParams) -> Sequence[Grant]:
        arn = "arn:aws:s3:::"
        place, bucket = _place(params).path, params.to_bucket or params.bucket
        needed = [
            ("s3:GetObject", arn + _source(params).path),
            ("s3:ListBucket", arn + params.bucket),
            ("s3:GetObject", arn + place),
            ("s3:PutObject", arn + place),
            ("s3:DeleteObject", arn + place),
            ("s3:DeleteObjectVersion", arn + place),
            ("s3:ListBucket", arn + bucket),
            ("s3:GetBucketVersioning", arn + bucket),
        ]
        return tuple(
            Grant(params.connection, "s3", {"action": action, "resource": on})
            for action, on in dict.fromkeys(needed)
        )

    def plan(self, params: CopyParams, world: World) -> Planned:
        client = world.client(params.connection, S3Client)
        source, place = _source(params), _place(params)
        bucket = params.to_bucket or params.bucket
        if earlier_state(world.earlier, source) is not None:
            raise Unplannable(
                f"{source.path} is changed by an earlier step; copy it in a later run"
            )
        head = _to_copy(client, params)
        there = client.head(bucket, params.to_key)
        before = earlier_state(world.earlier, place) or _described(there)
        if before["exists"] and not params.overwrite:
            what = f"{place.path} is there already; say overwrite: true to replace it"
            raise client.failure(Category.DATA, what)
        versioned = client.versioned(bucket)
        lost = bool(before["exists"]) and not versioned
        return Planned(
            action=self.name,
            target=place,
            before=before,
            after={**_described(head), "copy_of": source.path},
            counts={"objects": 1},
            request={
                "bucket": bucket,
                "key": params.to_key,
                "source": {"Bucket": params.bucket, "Key": params.key},
                "versioned": versioned,
            },
            summary=f"copy {source.path} to {place.path}, {head['ContentLength']} bytes",
            reversible=not lost,
            why_irreversible=f"bucket {bucket} keeps no versions of what the copy replaces"
            if lost
            else None,
            precondition={"etag": there["ETag"] if there else None, "source": head["ETag"]},
            fresh_changes=others_write(there),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        client = world.client(planned.target.connection, S3Client)
        bucket, name = planned.request["bucket"], planned.request["key"]
        source, expected = planned.request["source"], planned.precondition
        there = client.head(bucket, name)
        if there is not None and there["Metadata"].get(KEY_NOTE) == key:
            return receipt_of(planned, there)
        if (there["ETag"] if there else None) != expected["etag"]:
            raise overtaken(client, planned, there)
        head = client.head(source["Bucket"], source["Key"])
        if head is None or head["ETag"] != expected["source"]:
            raise _moved_on(client, source, head)
        with client.calling(writes=True) as boto:
            boto.copy_object(
                Bucket=bucket,
                Key=name,
                CopySource=source,
                CopySourceIfMatch=expected["source"],
                # The key must stand on the copy, so its metadata are written anew.
                MetadataDirective="REPLACE",
                Metadata={**head.get("Metadata", {}), KEY_NOTE: key},
                ContentType=head.get("ContentType", "binary/octet-stream"),
                **{header: head[header] for header in _HEADERS if head.get(header)},
            )
        copied = client.head(bucket, name)
        if copied is None or copied["Metadata"].get(KEY_NOTE) != key:
            raise overtaken(client, planned, copied)
        return receipt_of(planned, copied)


def _source(params: CopyParams) -> Target:
    return Target(params.connection, f"{params.bucket}/{params.key}")


def _place(params: CopyParams) -> Target:
    return Target(params.connection, f"{params.to_bucket or params.bucket}/{params.to_key}")


def _to_copy(client: S3Client, params: CopyParams) -> dict[str, Any]:
    head = client.head(params.bucket, params.key)
    if head is None:
        what = f"there is no object {params.bucket}/{params.key} to copy"
        raise client.failure(Category.DATA, what)
    if head["ContentLength"] > _MOST:
        what = f"{params.bucket}/{params.key} is over 5 GiB, which S3 does not copy in one request"
        raise client.failure(Category.DATA, what)
    return head


def _described(head: dict[str, Any] | None) -> JsonObject:
    if head is None:
        return {"exists": False}
    return {
        "exists": True,
        "bytes": head["ContentLength"],
        "content_type": head.get("ContentType"),
        "content": head["ETag"].strip('"'),
    }


def _moved_on(client: S3Client, source: JsonObject, head: dict[str, Any] | None) -> ActionFailed:
    found = f"its ETag is now {head['ETag']}" if head else "it is gone"
    what = (
        f"{source['Bucket']}/{source['Key']} is no longer what the plan saw ({found}); not copied"
    )
    return client.failure(Category.DATA, what)
