"""s3.download: an object of any size, streamed into an artifact."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from actions.artifacts.leaving import Leaving, LeavingParams, leaving, named, place, receipt_of
from actions.artifacts.reference import right
from actions.artifacts.store import ArtifactStore
from actions.s3 import byhand
from actions.s3.connection import S3Client
from actions.s3.listing import BUCKET
from actions.s3.upload import DIGEST_NOTE
from engine.contract import ActionFailed, Category, Grant, Planned, Receipt, Target, World
from engine.contract.fields import Bytes

_PIECE = 1 << 20


class DownloadParams(LeavingParams):
    """Parameters of a download."""

    connection: str = Field(description="An s3 connection", examples=["objects"])
    bucket: str = Field(description="The bucket", examples=["etl-backup"], pattern=BUCKET)
    key: str = Field(
        description="The object's key",
        examples=["incident-17/jobs.jsonl"],
        min_length=1,
        max_length=1024,
    )
    max_bytes: Bytes = Field(2 * 2**30, gt=0, description="Largest object taken", examples=["1Gi"])


class S3Download(Leaving[DownloadParams]):
    """Streams one object into an artifact, as the plan saw it, or not at all.

    What `s3.upload` wrote is held to the digest in its metadata. Output: `artifact` (its reference), `etag`.
    Undo removes the artifact.
    """

    name = "s3.download"
    manual = byhand.download
    summary = "Download an object into an artifact"
    Params = DownloadParams

    def targets(self, params: DownloadParams) -> Sequence[Target]:
        source = Target(params.connection, f"{params.bucket}/{params.key}")
        return (source, place(params, "object"))

    def locks(self, params: DownloadParams) -> Sequence[Target]:
        return (place(params, "object"),) if params.name else ()

    def grants(self, params: DownloadParams) -> Sequence[Grant]:
        bucket = f"arn:aws:s3:::{params.bucket}"
        needed = [("s3:GetObject", f"{bucket}/{params.key}"), ("s3:ListBucket", bucket)]
        reads = (
            Grant(params.connection, "s3", {"action": action, "resource": on})
            for action, on in needed
        )
        return (*reads, right(place(params, "object")))

    def plan(self, params: DownloadParams, world: World) -> Planned:
        client = world.client(params.connection, S3Client)
        head = client.head(params.bucket, params.key)
        source = f"{params.bucket}/{params.key}"
        if head is None:
            raise client.failure(Category.PERMANENT, f"there is no object {source}")
        if head["ContentLength"] > params.max_bytes:
            what = f"{source} has {head['ContentLength']} bytes, over max_bytes {params.max_bytes}"
            raise client.failure(Category.DATA, what)
        after, request = leaving(params, "object", world)
        return Planned(
            action=self.name,
            target=place(params, "object"),
            before={},
            after={"source": source, "etag": head["ETag"].strip('"'), **after},
            counts={"artifacts": 1},
            request={
                **request,
                "connection": params.connection,
                "bucket": params.bucket,
                "key": params.key,
                "sha256": head["Metadata"].get(DIGEST_NOTE),
            },
            summary=f"download {source}, {head['ContentLength']} bytes",
            precondition={"etag": head["ETag"]},
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        request = planned.request
        store = world.client(request["artifacts"], ArtifactStore)
        name = named(planned, key)
        done = store.of_key(name, key)
        if done is not None:
            return receipt_of(planned, done)
        client = world.client(request["connection"], S3Client)
        with store.drafting(name, key) as draft, client.calling() as boto:
            answer = boto.get_object(
                Bucket=request["bucket"], Key=request["key"], IfMatch=planned.precondition["etag"]
            )
            for piece in answer["Body"].iter_chunks(_PIECE):
                if world.cancelled():
                    what = f"given up after {draft.bytes} bytes; nothing was kept"
                    raise ActionFailed(Category.TRANSIENT, what, effect_possible=False)
                draft.write(piece)
                world.progress(draft.bytes, answer["ContentLength"], "bytes")
            if request["sha256"] not in (None, draft.sha256):
                what = f"{request['bucket']}/{request['key']} is not what its SHA-256 says"
                raise client.failure(Category.DATA, what)
            kept = draft.keep({"etag": planned.precondition["etag"].strip('"')})
            return receipt_of(planned, kept)
