"""How objects stand now: by a listing where they share a prefix, so that many take few requests."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from actions.s3.connection import S3Client


def etags(
    client: S3Client, bucket: str, names: Collection[str], prefix: str | None
) -> dict[str, str]:
    """Return the ETags, without quotes, of those objects that are there."""
    if prefix is None:
        heads = {name: client.head(bucket, name) for name in names}
        return {name: head["ETag"].strip('"') for name, head in heads.items() if head is not None}
    with client.calling() as boto:
        pages = boto.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {
            item["Key"]: item["ETag"].strip('"')
            for page in pages
            for item in page.get("Contents", [])
            if item["Key"] in names
        }


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
