"""How objects stand now: by a listing where they share a prefix, so that many take few requests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from actions.s3.connection import S3Client
from engine.domain.canonical import JsonObject

T = TypeVar("T")
R = TypeVar("R")
_AT_ONCE = 8  # requests; the client keeps ten connections


def at_once(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Do `work` for all items, some at a time, and return the results in their order.

    Raises:
        ActionFailed: the first of the failures; the other items have been done, or have failed as well.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(work, items))


def standing(
    client: S3Client, bucket: str, names: Collection[str], prefix: str | None
) -> dict[str, JsonObject]:
    """Return `bytes` and `etag`, without quotes, of those objects that are there."""
    if prefix is None:
        found = at_once(lambda name: client.head(bucket, name), names)
        heads = zip(names, found, strict=True)
        return {
            name: described(head["ContentLength"], head["ETag"])
            for name, head in heads
            if head is not None
        }
    with client.calling() as boto:
        pages = boto.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {
            item["Key"]: described(item["Size"], item["ETag"])
            for page in pages
            for item in page.get("Contents", [])
            if item["Key"] in names
        }


def described(size: int, etag: str) -> JsonObject:
    """Return what plans keep of an object."""
    return {"bytes": size, "etag": etag.strip('"')}


def etags(
    client: S3Client, bucket: str, names: Collection[str], prefix: str | None
) -> dict[str, str]:
    """Return the ETags, without quotes, of those objects that are there."""
    there = standing(client, bucket, names, prefix)
    return {name: str(seen["etag"]) for name, seen in there.items()}


def markers(
    client: S3Client, bucket: str, names: Collection[str], prefix: str | None
) -> dict[str, str]:
    """Return the version ids of the delete markers that are the latest of those objects."""
    found: dict[str, str] = {}
    with client.calling() as boto:
        turner = boto.get_paginator("list_object_versions")
        for start in [prefix] if prefix is not None else sorted(names):
            for page in turner.paginate(Bucket=bucket, Prefix=start):
                found |= _latest(page, names)
                if prefix is None:
                    break  # an object's own versions come before those of longer keys
    return found


def _latest(page: dict[str, Any], names: Collection[str]) -> dict[str, str]:
    return {
        item["Key"]: str(item["VersionId"])
        for item in page.get("DeleteMarkers", [])
        if item["IsLatest"] and item["Key"] in names
    }
