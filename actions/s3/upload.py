"""s3.upload: an artifact as a new object, streamed."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from actions.artifacts.reference import ArtifactRef, right
from actions.artifacts.store import ArtifactStore
from actions.s3 import byhand
from actions.s3.connection import S3Client
from actions.s3.listing import BUCKET
from actions.s3.written import KEY_NOTE, Written, earlier_state, overtaken, receipt_of
from engine.contract import ActionParams, Category, Grant, Planned, Receipt, Target, World

_MOST = 5 * 2**30  # what PutObject takes in one request
DIGEST_NOTE = "stanch-sha256"  # user metadata: the artifact's digest


class UploadParams(ActionParams):
    """Parameters of an upload."""

    connection: str = Field(description="An s3 connection", examples=["objects"])
    bucket: str = Field(description="The bucket", examples=["etl-backup"], pattern=BUCKET)
    key: str = Field(
        description="The new object's key, which must be free",
        examples=["incident-17/jobs.jsonl"],
        min_length=1,
        max_length=1024,
    )
    artifact: ArtifactRef = Field(
        description="The artifact, as the step that left it gave it",
        examples=[
            {
                "connection": "artifacts",
                "name": "backups/jobs.jsonl",
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "bytes": 1048576,
            }
        ],
    )
    content_type: str = Field(
        "application/octet-stream", description="What it is", examples=["application/jsonl"]
    )


class S3Upload(Written[UploadParams]):
    """Uploads an artifact, held to its digest, under a key that is free. Undo deletes the object.

    Output: `etag`, `version`; the artifact's SHA-256 stands in the object's metadata.
    """

    name = "s3.upload"
    manual = byhand.upload
    summary = "Upload an artifact as a new object"
    Params = UploadParams
    risk = "low"

    def targets(self, params: UploadParams) -> Sequence[Target]:
        return (_place(params), params.artifact.target)

    def locks(self, params: UploadParams) -> Sequence[Target]:
        return (_place(params),)

    def grants(self, params: UploadParams) -> Sequence[Grant]:
        resource, bucket = f"arn:aws:s3:::{_place(params).path}", f"arn:aws:s3:::{params.bucket}"
        needed = [("s3:GetObject", resource), ("s3:PutObject", resource)]
        needed += [("s3:DeleteObject", resource), ("s3:DeleteObjectVersion", resource)]
        needed += [("s3:ListBucket", bucket), ("s3:GetBucketVersioning", bucket)]
        writes = (
            Grant(params.connection, "s3", {"action": action, "resource": on})
            for action, on in needed
        )
        return (*writes, right(params.artifact.target))

    def plan(self, params: UploadParams, world: World) -> Planned:
        client = world.client(params.connection, S3Client)
        target = _place(params)
        before = earlier_state(world.earlier, target)
        there = client.head(params.bucket, params.key)
        if (before or {"exists": there is not None})["exists"]:
            what = f"{target.path} is there already; choose another key"
            raise client.failure(Category.DATA, what)
        if params.artifact.bytes > _MOST:
            what = f"{params.artifact.name} is over 5 GiB, which S3 does not take in one request"
            raise client.failure(Category.DATA, what)
        store = world.client(params.artifact.connection, ArtifactStore)
        with store.reading(params.artifact):
            pass  # it is there, and what the reference names
        return Planned(
            action=self.name,
            target=target,
            before={"exists": False},
            after={
                "exists": True,
                "bytes": params.artifact.bytes,
                "sha256": params.artifact.sha256,
                "content_type": params.content_type,
            },
            counts={"objects": 1},
            request={
                "bucket": params.bucket,
                "key": params.key,
                "artifact": params.artifact.model_dump(),
                "content_type": params.content_type,
                "versioned": client.versioned(params.bucket),
            },
            summary=f"upload {params.artifact.name} to {target.path}, {params.artifact.bytes} bytes",
            precondition={"etag": None},
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        client = world.client(planned.target.connection, S3Client)
        bucket, name = planned.request["bucket"], planned.request["key"]
        there = client.head(bucket, name)
        if there is not None and there["Metadata"].get(KEY_NOTE) == key:
            return receipt_of(planned, there)
        if there is not None:
            raise overtaken(client, planned, there)
        reference = ArtifactRef.model_validate(planned.request["artifact"])
        store = world.client(reference.connection, ArtifactStore)
        with store.reading(reference) as file, client.calling(writes=True) as boto:
            boto.put_object(
                Bucket=bucket,
                Key=name,
                Body=file,
                ContentLength=reference.bytes,
                ContentType=planned.request["content_type"],
                Metadata={KEY_NOTE: key, DIGEST_NOTE: reference.sha256},
                IfNoneMatch="*",
            )
        made = client.head(bucket, name)
        if made is None or made["Metadata"].get(KEY_NOTE) != key:
            raise overtaken(client, planned, made)
        return receipt_of(planned, made)


def _place(params: UploadParams) -> Target:
    return Target(params.connection, f"{params.bucket}/{params.key}")
