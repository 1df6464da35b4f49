"""s3.delete: the objects that the plan listed, and no others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

from pydantic import Field, model_validator

from actions.aws.failures import advice, category_of_code
from actions.s3 import byhand, current
from actions.s3.connection import S3Client
from actions.s3.listing import BUCKET
from actions.s3.written import REMOVING
from engine.contract import (
    ActionParams,
    Applied,
    Category,
    Change,
    Confirmation,
    Grant,
    NotApplied,
    Planned,
    Protection,
    Receipt,
    Target,
    World,
    Wrong,
)
from engine.domain.canonical import JsonObject

_BATCH = 1000  # what DeleteObjects takes
_SAMPLE = 5


class Selection(ActionParams):
    """Objects of a bucket. Give `keys` or `prefix`."""

    connection: str = Field(description="An s3 connection", examples=["objects"])
    bucket: str = Field(description="The bucket", examples=["etl-output"], pattern=BUCKET)
    keys: list[str] = Field(
        default_factory=list, description="These keys", examples=[["tmp/a.parquet"]]
    )
    prefix: str | None = Field(
        None, description="Every key that starts so", examples=["tmp/run-17/"], min_length=1
    )
    max_objects: int = Field(
        1000, gt=0, le=100_000, description="Most objects it may touch", examples=[1000]
    )

    @model_validator(mode="after")
    def _keys_or_prefix(self) -> Self:
        if bool(self.keys) == bool(self.prefix):
            raise ValueError("give keys or prefix, one of them")
        return self


class DeleteParams(Selection):
    """Parameters of a delete."""


class S3Delete(Change[DeleteParams]):
    """Deletes objects whose ETags are still those of the plan.

    In a versioned bucket undo removes the delete markers; elsewhere it is irreversible.
    """

    name = "s3.delete"
    manual = byhand.delete
    summary = "Delete objects by key or prefix"
    Params = DeleteParams
    protection = Protection.CONDITIONAL
    risk = "high"

    def targets(self, params: DeleteParams) -> Sequence[Target]:
        paths = params.keys or [params.prefix or ""]
        return tuple(Target(params.connection, f"{params.bucket}/{path}") for path in paths)

    def grants(self, params: DeleteParams) -> Sequence[Grant]:
        bucket = f"arn:aws:s3:::{params.bucket}"
        needed = [("s3:ListBucket", bucket), ("s3:GetBucketVersioning", bucket)]
        needed += [("s3:ListBucketVersions", bucket)]
        rights = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
        rights += (
            ["s3:GetObject"] if params.keys else []
        )  # a prefix is listed, its objects not read
        for path in params.keys or [f"{params.prefix}*"]:
            needed += [(action, f"{bucket}/{path}") for action in rights]
        return tuple(
            Grant(params.connection, "s3", {"action": action, "resource": on})
            for action, on in needed
        )

    def plan(self, params: DeleteParams, world: World) -> Planned:
        client = world.client(params.connection, S3Client)
        found = listed(client, params)
        if len(found) > params.max_objects:
            what = f"{params.bucket}/{params.prefix or ''} holds more than max_objects "
            what += f"{params.max_objects} objects; nothing was deleted"
            raise client.failure(Category.DATA, what)
        found = without_earlier(found, params, world.earlier)
        versioned = client.versioned(params.bucket)
        size = sum(item["bytes"] for item in found)
        return Planned(
            action=self.name,
            target=self.targets(params)[0]
            if params.prefix or len(params.keys) == 1
            else Target(params.connection, f"{params.bucket}/"),
            before={item["key"]: {"bytes": item["bytes"], "etag": item["etag"]} for item in found},
            after={item["key"]: None for item in found},
            counts={"objects": len(found)},
            request={"bucket": params.bucket, "versioned": versioned, "prefix": params.prefix},
            summary=f"delete {len(found)} objects, {size} bytes, in {params.bucket}",
            reversible=versioned,
            why_irreversible=None if versioned else f"bucket {params.bucket} keeps no versions",
            sample=tuple(found[:_SAMPLE]),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        del key  # what was deleted before is not there to be deleted again
        client = world.client(planned.target.connection, S3Client)
        bucket = planned.request["bucket"]
        there = _there(client, planned)
        for name, etag in there.items():
            if etag != planned.before[name]["etag"]:
                what = f"{bucket}/{name} is no longer what the plan saw; nothing was deleted"
                raise client.failure(Category.DATA, what)
        present = list(there)
        markers: dict[str, str] = {}
        for number, batch in enumerate(batches(present)):
            if world.cancelled():
                what = f"given up after {number * _BATCH} of {len(present)} objects"
                raise client.failure(Category.TRANSIENT, what, sent=number > 0)
            markers |= delete_batch(client, bucket, [{"Key": name} for name in batch])
            world.progress(min(len(present), (number + 1) * _BATCH), len(present), "objects")
        return _receipt(client, planned, markers)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        del key
        client = world.client(planned.target.connection, S3Client)
        there = _there(client, planned)
        if there and receipt is not None:
            first = f"{planned.request['bucket']}/{next(iter(there))}"
            return Wrong(f"{first} is there although it was deleted")
        if there:
            return NotApplied()  # what is gone already is not deleted again
        return Applied(receipt or _receipt(client, planned, {}))

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        del key  # a marker that is gone was removed before
        client = world.client(planned.target.connection, S3Client)
        bucket = planned.request["bucket"]
        image = receipt.before_image
        markers = image["markers"] if isinstance(image, dict) else {}
        missing = sorted(set(planned.before) - set(markers))
        if missing:
            what = f"{bucket}/{missing[0]}: no delete marker is known, so it cannot be brought back"
            raise client.failure(Category.PERMANENT, what)
        there = _there(client, planned)
        found = _overwritten(planned, there)
        if found:
            raise client.failure(Category.DATA, f"{found[0]}; nothing was restored")
        removable = [
            {"Key": name, "VersionId": marker}
            for name, marker in markers.items()
            if name not in there
        ]
        for batch in batches(removable):
            delete_batch(client, bucket, batch)
        return Receipt(
            dict(planned.before), {"objects": len(markers)}, None, {"restored": len(markers)}
        )

    def conflicts(self, planned: Planned, receipt: Receipt, world: World) -> Sequence[str]:
        del receipt
        client = world.client(planned.target.connection, S3Client)
        return _overwritten(planned, _there(client, planned))


def _there(client: S3Client, planned: Planned) -> dict[str, str]:
    """Return the ETags of those planned objects that are there."""
    request = planned.request
    return current.etags(client, request["bucket"], planned.before, request["prefix"])


def _overwritten(planned: Planned, there: dict[str, str]) -> list[str]:
    bucket = planned.request["bucket"]
    return [
        f"{bucket}/{name}, ETag: others wrote it since"
        for name, etag in there.items()
        if etag != planned.before[name]["etag"]
    ]


def listed(client: S3Client, params: Selection) -> list[JsonObject]:
    """Return key, bytes and ETag of what would be deleted, one more than allowed at most."""
    if params.prefix:
        found = client.objects(params.bucket, params.prefix, params.max_objects + 1)
        return [
            {"key": entry["Key"], **current.described(entry["Size"], entry["ETag"])}
            for entry in found
        ]
    there = current.standing(client, params.bucket, list(dict.fromkeys(params.keys)), None)
    return [{"key": name, **seen} for name, seen in there.items()]


def without_earlier(
    found: list[JsonObject], params: Selection, earlier: Sequence[Planned]
) -> list[JsonObject]:
    """Leave out what earlier steps of the run delete or move away already."""
    gone = {
        name
        for planned in earlier
        if planned.action in REMOVING
        and planned.target.connection == params.connection
        and planned.request["bucket"] == params.bucket
        for name in planned.after
    }
    return [item for item in found if item["key"] not in gone]


def batches(items: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _BATCH):
        yield list(items[start : start + _BATCH])


def delete_batch(client: S3Client, bucket: str, batch: list[JsonObject]) -> dict[str, str]:
    """Delete a batch and return the delete markers by key.

    Raises:
        ActionFailed: also where the answer is 200 and lists errors.
    """
    with client.calling(writes=True) as boto:
        answer = boto.delete_objects(Bucket=bucket, Delete={"Objects": batch})
    errors = answer.get("Errors", [])
    if errors:
        first = errors[0]
        code = str(first.get("Code", ""))
        what = (
            f"{len(errors)} of {len(batch)} objects were not deleted; {bucket}/{first.get('Key')}: "
        )
        what += f"{first.get('Message', 'refused')} [{code}]{advice(code)}"
        raise client.failure(category_of_code(code), what, sent=len(errors) < len(batch))
    return {
        item["Key"]: item["DeleteMarkerVersionId"]
        for item in answer.get("Deleted", [])
        if item.get("DeleteMarkerVersionId")
    }


def _receipt(client: S3Client, planned: Planned, markers: dict[str, str]) -> Receipt:
    """Build the receipt; markers of earlier attempts are looked up at the bucket."""
    bucket = planned.request["bucket"]
    image = None
    if planned.request["versioned"]:
        known = dict(markers)
        unknown = set(planned.before) - set(known)
        if unknown:
            known |= current.markers(client, bucket, unknown, planned.request["prefix"])
        image = {"markers": known}
    size = sum(seen["bytes"] for seen in planned.before.values())
    count = len(planned.before)
    return Receipt(
        dict(planned.after), {"objects": count}, image, {"deleted": count, "bytes": size}
    )
