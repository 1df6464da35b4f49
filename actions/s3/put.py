"""s3.put: one object, written only over what the plan saw."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Any, Self

from pydantic import Field, model_validator

from actions.s3 import byhand
from actions.s3.connection import S3Client
from actions.s3.listing import BUCKET
from actions.s3.written import (
    BEFORE_NOTE,
    KEY_NOTE,
    Written,
    earlier_state,
    others_write,
    overtaken,
    receipt_of,
)
from engine.contract import ActionParams, Grant, Planned, Receipt, Target, World
from engine.contract.fields import Bytes
from engine.domain.canonical import JsonObject, canonical_json

_CARRIED = 1200  # bytes; user metadata holds 2 KB in all
_HEADERS = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
)


class PutParams(ActionParams):
    """Parameters of a put. Exactly one of `text`, `base64` and `value` is the content."""

    connection: str = Field(description="An s3 connection", examples=["objects"])
    bucket: str = Field(description="The bucket", examples=["etl-output"], pattern=BUCKET)
    key: str = Field(
        description="The object's key",
        examples=["control/pause.json"],
        min_length=1,
        max_length=1024,
    )
    text: str | None = Field(None, description="Content as text", examples=["paused\n"])
    base64: str | None = Field(None, description="Content in base64", examples=["cGF1c2Vk"])
    value: Any = Field(
        None, description="Content as JSON, written canonically", examples=[{"paused": True}]
    )
    content_type: str | None = Field(
        None, description="Its type; by the kind of content where missing", examples=["text/plain"]
    )
    keep_bytes: Bytes = Field(
        2**20,
        gt=0,
        le=64 * 2**20,
        description="Largest previous content kept for undo, in a bucket without versions",
        examples=["1Mi"],
    )

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        given = [name for name in ("text", "base64", "value") if name in self.model_fields_set]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of text, base64 and value; given: {given or 'none'}"
            )
        if self.base64 is not None:
            try:
                base64.b64decode(self.base64, validate=True)
            except binascii.Error as error:
                raise ValueError(f"base64 is not base64: {error}") from None
        return self

    def content(self) -> tuple[bytes, str]:
        """Return the bytes and their type."""
        if self.base64 is not None:
            data, kind = base64.b64decode(self.base64), "application/octet-stream"
        elif self.text is not None:
            data, kind = self.text.encode(), "text/plain; charset=utf-8"
        else:
            data, kind = canonical_json(self.value).encode(), "application/json"
        return data, self.content_type or kind


class S3Put(Written[PutParams]):
    """Writes one object under If-Match or If-None-Match, so it never overwrites what the plan did not see.

    Undo removes the new version in a versioned bucket, else writes the previous content back.
    """

    name = "s3.put"
    manual = byhand.put
    summary = "Write one object"
    Params = PutParams
    risk = "medium"

    def targets(self, params: PutParams) -> Sequence[Target]:
        return (Target(params.connection, f"{params.bucket}/{params.key}"),)

    def grants(self, params: PutParams) -> Sequence[Grant]:
        resource = f"arn:aws:s3:::{params.bucket}/{params.key}"
        needed = [
            ("s3:GetObject", resource),
            ("s3:PutObject", resource),
            ("s3:DeleteObject", resource),
            ("s3:DeleteObjectVersion", resource),
            ("s3:ListBucket", f"arn:aws:s3:::{params.bucket}"),
            ("s3:GetBucketVersioning", f"arn:aws:s3:::{params.bucket}"),
        ]
        return tuple(
            Grant(params.connection, "s3", {"action": action, "resource": on})
            for action, on in needed
        )

    def plan(self, params: PutParams, world: World) -> Planned:
        client = world.client(params.connection, S3Client)
        data, kind = params.content()
        after = _described(data, kind)
        target = self.targets(params)[0]
        head = client.head(params.bucket, params.key)
        before = earlier_state(world.earlier, target)
        if before is None:
            before = _seen(client, params, head)
        versioned = client.versioned(params.bucket)
        size = int(head["ContentLength"]) if head else 0
        lost = head is not None and not versioned and size > params.keep_bytes
        notes = []
        if head is not None and not versioned and not lost and size > _CARRIED:
            notes.append(
                "without versions, a crash between the write and its record loses the previous content"
            )
        same = before == after
        return Planned(
            action=self.name,
            target=target,
            before=before,
            after=after,
            counts={} if same else {"objects": 1},
            request={
                "bucket": params.bucket,
                "key": params.key,
                "content": base64.b64encode(data).decode(),
                "content_type": kind,
                "versioned": versioned,
            },
            summary=f"{'keep' if same else 'write'} {target.path}, {len(data)} bytes",
            reversible=not lost,
            why_irreversible=f"the previous {size} bytes are over keep_bytes {params.keep_bytes}, and "
            "the bucket keeps no versions"
            if lost
            else None,
            notes=tuple(notes),
            precondition={"etag": head["ETag"] if head else None},
            fresh_changes=others_write(head),
        )

    def apply(self, planned: Planned, world: World, key: str) -> Receipt:
        client = world.client(planned.target.connection, S3Client)
        bucket, name = planned.request["bucket"], planned.request["key"]
        head = client.head(bucket, name)
        if head is not None and head["Metadata"].get(KEY_NOTE) == key:
            return receipt_of(planned, head)
        expected = planned.precondition["etag"]
        if (head["ETag"] if head else None) != expected:
            raise overtaken(client, planned, head)
        image = _image(client, planned, head)
        metadata = {KEY_NOTE: key}
        if image["previous"] and len(canonical_json(image["previous"])) <= _CARRIED:
            carried = canonical_json(image["previous"]).encode()
            metadata[BEFORE_NOTE] = base64.b64encode(carried).decode()
        condition = {"IfMatch": expected} if expected else {"IfNoneMatch": "*"}
        with client.calling(writes=True) as boto:
            answer = boto.put_object(
                Bucket=bucket,
                Key=name,
                Body=base64.b64decode(planned.request["content"]),
                ContentType=planned.request["content_type"],
                Metadata=metadata,
                **condition,
            )
        image |= {"etag": answer["ETag"], "version": answer.get("VersionId"), "key": key}
        output = {"etag": answer["ETag"].strip('"'), "version": answer.get("VersionId")}
        return Receipt(dict(planned.after), {"objects": 1}, image, output)


def _described(data: bytes, kind: str) -> JsonObject:
    return {
        "exists": True,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "content_type": kind,
    }


def _seen(client: S3Client, params: PutParams, head: dict[str, Any] | None) -> JsonObject:
    if head is None:
        return {"exists": False}
    if head["ContentLength"] > params.keep_bytes:
        return {
            "exists": True,
            "bytes": head["ContentLength"],
            "etag": head["ETag"].strip('"'),
            "content_type": head.get("ContentType"),
        }
    with client.calling() as boto:
        answer = boto.get_object(Bucket=params.bucket, Key=params.key, IfMatch=head["ETag"])
        data = answer["Body"].read()
    return _described(data, head.get("ContentType", "binary/octet-stream"))


def _image(client: S3Client, planned: Planned, head: dict[str, Any] | None) -> JsonObject:
    """Take the before-image under the ETag that the put is held to."""
    image: JsonObject = {"existed": head is not None, "previous": None, "previous_etag": None}
    if head is None:
        return image
    image["previous_etag"] = head["ETag"]
    if planned.request["versioned"] or not planned.reversible:
        return image  # the bucket keeps it, or nobody does
    bucket, name = planned.request["bucket"], planned.request["key"]
    with client.calling() as boto:
        answer = boto.get_object(Bucket=bucket, Key=name, IfMatch=head["ETag"])
        data = answer["Body"].read()
    image["previous"] = {
        "content": base64.b64encode(data).decode(),
        "metadata": answer["Metadata"],
        "headers": {header: answer[header] for header in _HEADERS if answer.get(header)},
    }
    return image
