"""What every action that writes one object shares: the notes it leaves on it, confirm and undo."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from actions.s3.connection import S3Client
from engine.contract import (
    ActionFailed,
    ActionParams,
    Applied,
    Category,
    Change,
    Confirmation,
    FreshChange,
    NotApplied,
    Planned,
    Protection,
    Receipt,
    Target,
    World,
    Wrong,
)
from engine.domain.canonical import Json, JsonObject

KEY_NOTE = "stanch-key"  # user metadata: which key wrote the object
BEFORE_NOTE = "stanch-before"  # user metadata: what it replaced, where that is small
WRITER = "another writer"  # S3 says when an object was written, not by whom
REMOVING = ("s3.delete", "s3.quarantine")  # their `after` names the objects that will be gone

P = TypeVar("P", bound=ActionParams)


class Written(Change[P]):
    """One object, written once a key. `request` names its `bucket` and `key`, `precondition` its ETag."""

    protection = Protection.CONDITIONAL

    def confirm(
        self, planned: Planned, receipt: Receipt | None, world: World, key: str
    ) -> Confirmation:
        client = world.client(planned.target.connection, S3Client)
        head = client.head(planned.request["bucket"], planned.request["key"])
        if head is not None and head["Metadata"].get(KEY_NOTE) == key:
            return Applied(receipt or receipt_of(planned, head))
        found = head["ETag"] if head else None
        if found == planned.precondition["etag"] and receipt is None:
            return NotApplied()
        return Wrong(f"{planned.target.path} was written by others: its ETag is {found}")

    def undo(self, planned: Planned, receipt: Receipt, world: World, key: str) -> Receipt:
        del key  # what is there now tells whether it was undone already
        client = world.client(planned.target.connection, S3Client)
        image = receipt.before_image
        bucket, name = planned.request["bucket"], planned.request["key"]
        if not isinstance(image, dict) or (image["existed"] and not _restorable(image)):
            what = f"{planned.target.path}: the previous content was not kept"
            raise client.failure(Category.PERMANENT, what)
        head = client.head(bucket, name)
        if _is_restored(head, image):
            return Receipt(dict(planned.before), {"objects": 1}, None, {"restored": True})
        if head is None or head["ETag"] != image["etag"]:
            what = _changed(planned, head)
            if not world.overriding or image["version"] is not None:
                raise client.failure(Category.DATA, f"{what}; not restored")
            image = {**image, "etag": head["ETag"] if head else None}
        _restore(client, bucket, name, image)
        return Receipt(dict(planned.before), {"objects": 1}, None, {"restored": True})

    def conflicts(self, planned: Planned, receipt: Receipt, world: World) -> Sequence[str]:
        image = receipt.before_image
        if not isinstance(image, dict) or any(
            newer.target == planned.target for newer in world.earlier
        ):
            return ()
        client = world.client(planned.target.connection, S3Client)
        head = client.head(planned.request["bucket"], planned.request["key"])
        if _is_restored(head, image) or (head is not None and head["ETag"] == image["etag"]):
            return ()
        return [_changed(planned, head)]


def _changed(planned: Planned, head: dict[str, Any] | None) -> str:
    found = head["ETag"] if head else "gone"
    return f"{planned.target.path}, ETag: others changed it since (now {found})"


def others_write(head: Mapping[str, Any] | None) -> tuple[FreshChange, ...]:
    """Return when somebody else wrote the object that is there; what an action wrote bears its key."""
    if head is None or KEY_NOTE in head.get("Metadata", {}):
        return ()
    return (FreshChange(WRITER, head["LastModified"], f"ETag {head['ETag']}"),)


def earlier_state(earlier: Sequence[Planned], target: Target) -> JsonObject | None:
    """Return how the run's own earlier changes leave the object."""
    for planned in reversed(earlier):
        if planned.action in ("s3.put", "s3.copy", "s3.upload") and planned.target == target:
            return dict(planned.after)
        if planned.action in REMOVING and planned.target.connection == target.connection:
            bucket, _, name = target.path.partition("/")
            if planned.request["bucket"] == bucket and name in planned.after:
                return {"exists": False}
    return None


def receipt_of(planned: Planned, head: Mapping[str, Any]) -> Receipt:
    """Rebuild the receipt from the object that the key wrote."""
    carried = head["Metadata"].get(BEFORE_NOTE)
    previous: Json = json.loads(base64.b64decode(carried)) if carried else None
    image = {
        "existed": planned.precondition["etag"] is not None,
        "previous": previous,
        "previous_etag": planned.precondition["etag"],
        "etag": head["ETag"],
        "version": head.get("VersionId"),
        "key": head["Metadata"][KEY_NOTE],
    }
    output = {"etag": head["ETag"].strip('"'), "version": head.get("VersionId")}
    return Receipt(dict(planned.after), {"objects": 1}, image, output)


def _restorable(image: JsonObject) -> bool:
    return image["previous"] is not None or image["version"] is not None


def _is_restored(head: dict[str, Any] | None, image: JsonObject) -> bool:
    if not image["existed"]:
        return head is None
    # Equal content has an equal ETag, so what we wrote must also be no longer there.
    return (
        head is not None
        and head["ETag"] == image["previous_etag"]
        and head["Metadata"].get(KEY_NOTE) != image["key"]
    )


def _restore(client: S3Client, bucket: str, name: str, image: JsonObject) -> None:
    with client.calling(writes=True) as boto:
        if image["version"] is not None:
            boto.delete_object(Bucket=bucket, Key=name, VersionId=image["version"])
        elif not image["existed"]:
            boto.delete_object(Bucket=bucket, Key=name)
        else:
            previous = image["previous"]
            held = {"IfMatch": image["etag"]} if image["etag"] else {"IfNoneMatch": "*"}
            boto.put_object(
                Bucket=bucket,
                Key=name,
                Body=base64.b64decode(previous["content"]),
                Metadata=previous["metadata"],
                **held,
                **cast(dict[str, Any], previous["headers"]),
            )


def overtaken(client: S3Client, planned: Planned, head: dict[str, Any] | None) -> ActionFailed:
    found = head["ETag"] if head else "none"
    what = f"{planned.target.path} is no longer what the plan saw (ETag now {found}); not written"
    return client.failure(Category.DATA, what)
