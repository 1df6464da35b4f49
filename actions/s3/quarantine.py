"""s3.quarantine: objects moved out of the way, to where nobody reads them by mistake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from pydantic import Field, model_validator

from actions.s3 import byhand
from actions.s3.connection import S3Client
from actions.s3.delete import Selection, delete_batch, listed, without_earlier
from actions.s3.listing import BUCKET
from engine.contract import (
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

_SAMPLE = 5


class QuarantineParams(Selection):
    """Parameters of a quarantine."""

    to: str = Field(
        "quarantine/",
        description="What the keys of the moved objects start with; their own follow",
        examples=["quarantine/incident-17/"],
        pattern=r"^[^/].*/$",
    )
    to_bucket: str | None = Field(
        None,
        description="The other bucket; the same where missing",
        examples=["etl-quarantine"],
        pattern=BUCKET,
    )

    @model_validator(mode="after")
    def _elsewhere(self) -> Self:
        if self.to_bucket in (None, self.bucket) and (self.prefix or "").startswith(self.to):
            raise ValueError(f"{self.prefix} lies in the quarantine {self.to} already")
        return self


class S3Quarantine(Change[QuarantineParams]):
    """Moves objects whose ETags are still those of the plan: each is copied, then deleted.

    Undo moves them back where nothing else was written meanwhile.
    """

    name = "s3.quarantine"
    manual = byhand.quarantine
    summary = "Move objects into quarantine"
    Params = QuarantineParams
    protection = Protection.CONDITIONAL
    risk = "medium"

    def targets(self, params: QuarantineParams) -> Sequence[Target]:
        paths = [f"{params.bucket}/{path}" for path in params.keys or [params.prefix or ""]]
        paths.append(f"{params.to_bucket or params.bucket}/{params.to}")
        return tuple(Target(params.connection, path) for path in paths)

    def grants(self, params: QuarantineParams) -> Sequence[Grant]:
        arn, other = "arn:aws:s3:::", params.to_bucket or params.bucket
        needed = [("s3:ListBucket", arn + params.bucket), ("s3:ListBucket", arn + other)]
        paths = params.keys or [f"{params.prefix}*"]
        for path in [*(f"{params.bucket}/{one}" for one in paths), f"{other}/{params.to}*"]:
            rights = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
            needed += [(action, arn + path) for action in rights]
        return tuple(
            Grant(params.connection, "s3", {"action": action, "resource": on})
            for action, on in dict.fromkeys(needed)
        )

    def plan(self, params: QuarantineParams, world: World) -> Planned:
        client = world.client(params.connection, S3Client)
        found = listed(client, params)
        if len(found) > params.max_objects:
            what = f"{params.bucket}/{params.prefix or ''} holds more than max_objects "
            what += f"{params.max_objects} objects; nothing was moved"
            raise client.failure(Category.DATA, what)
        found = without_earlier(found, params, world.earlier)
        other = params.to_bucket or params.bucket
        if other == params.bucket:
            found = [item for item in found if not item["key"].startswith(params.to)]
        for item in found:
            if client.head(other, params.to + item["key"]) is not None:
                what = f"{other}/{params.to}{item['key']} is there already; choose another `to`"
                raise client.failure(Category.DATA, what)
        size = sum(item["bytes"] for item in found)
        return Planned(
            action=self.name,
            target=self.targets(params)[0],
            before={item["key"]: {"bytes": item["bytes"], "etag": item["etag"]} for item in found},
            after={item["key"]: f"{other}/{params.to}{item['key']}" for item in found},
            counts={"objects": len(found)},
            request={"bucket": params.bucket, "other": other, "to": params.to},
            summary=f"move {len(found)} objects, {size} bytes, from {params.bucket} to "
            f"{other}/{params.to}",
            sample=tuple(found[:_SAMPLE]),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        del key  # what was moved before is not there to be moved again
        client = world.client(planned.target.connection, S3Client)
        request = planned.request
        there: list[tuple[str, str]] = []
        for name, seen in planned.before.items():
            head = client.head(request["bucket"], name)
            if head is not None and head["ETag"].strip('"') == seen["etag"]:
                there.append((name, head["ETag"]))
            elif head is not None or not _is_moved(client, planned, name):
                what = (
                    f"{request['bucket']}/{name} is no longer what the plan saw; nothing was moved"
                )
                raise client.failure(Category.DATA, what)
        for number, (name, etag) in enumerate(there):
            _move(
                client,
                (request["bucket"], name),
                (request["other"], request["to"] + name),
                etag,
            )
            world.progress(number + 1, len(there), "objects")
        return _receipt(planned)

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        del key
        client = world.client(planned.target.connection, S3Client)
        bucket = planned.request["bucket"]
        for name in planned.before:
            if client.head(bucket, name) is not None:
                there = f"{bucket}/{name} is there although it was moved"
                return Wrong(there) if receipt else NotApplied()  # moved ones are not moved again
            if not _is_moved(client, planned, name):
                return Wrong(f"{bucket}/{name} is neither there nor in quarantine")
        return Applied(receipt or _receipt(planned))

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        del receipt, key  # where the objects are tells what is left to do
        client = world.client(planned.target.connection, S3Client)
        request = planned.request
        waiting: list[tuple[str, str]] = []
        for name, seen in planned.before.items():
            kept = client.head(request["other"], request["to"] + name)
            head = client.head(request["bucket"], name)
            if head is not None and not _is_same(head, seen):
                what = (
                    f"{request['bucket']}/{name}, ETag: others wrote it since; nothing was restored"
                )
                raise client.failure(Category.DATA, what)
            if head is None and kept is None:
                what = f"{request['other']}/{request['to']}{name} is gone; nothing was restored"
                raise client.failure(Category.DATA, what)
            if kept is not None:
                waiting.append((name, kept["ETag"]))
        for name, etag in waiting:
            _move(
                client,
                (request["other"], request["to"] + name),
                (request["bucket"], name),
                etag,
            )
        count = len(planned.before)
        return Receipt(dict(planned.before), {"objects": count}, None, {"restored": count})


def _is_moved(client: S3Client, planned: Planned, name: str) -> bool:
    head = client.head(planned.request["other"], planned.request["to"] + name)
    return head is not None and _is_same(head, planned.before[name])


def _is_same(head: dict[str, Any], seen: JsonObject) -> bool:
    """Whether it is what the plan saw; of what was uploaded in parts a copy has another ETag."""
    if head["ContentLength"] != seen["bytes"]:
        return False
    return "-" in seen["etag"] or head["ETag"].strip('"') == seen["etag"]


def _move(client: S3Client, source: tuple[str, str], place: tuple[str, str], etag: str) -> None:
    """Copy under the ETag, content type and metadata included, and delete what was copied."""
    with client.calling(writes=True) as boto:
        boto.copy_object(
            Bucket=place[0],
            Key=place[1],
            CopySource={"Bucket": source[0], "Key": source[1]},
            CopySourceIfMatch=etag,
        )
    delete_batch(client, source[0], [{"Key": source[1]}])


def _receipt(planned: Planned) -> Receipt:
    count = len(planned.before)
    size = sum(seen["bytes"] for seen in planned.before.values())
    image = {"moved": dict(planned.after)}
    return Receipt(dict(planned.after), {"objects": count}, image, {"moved": count, "bytes": size})
