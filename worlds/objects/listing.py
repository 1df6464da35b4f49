"""Listings of objects and of versions, a page at a time, and the batches that name many."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote
from xml.etree import ElementTree

from worlds.objects.objects import Objects, Version
from worlds.objects.requests import Answer, Request, S3Error, document, element
from worlds.objects.rights import hold
from worlds.servers.s3 import Identity

_MOST = 1000


def stamp(moment: datetime) -> str:
    """Return a time as listings write it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def objects(held: Objects, identity: Identity, request: Request) -> Answer:
    """ListObjectsV2. Delimiters are not played: no action asks for folders."""
    hold(identity, "List", request.bucket, request.query.get("prefix", ""))
    query = request.query
    if query.get("list-type") != "2" or query.get("delimiter"):
        raise S3Error(
            501, "NotImplemented", "only ListObjectsV2 without a delimiter is played here"
        )
    prefix, most = query.get("prefix", ""), _page(request)
    token = query.get("continuation-token")
    start = base64.b64decode(token).decode() if token else query.get("start-after", "")
    page: list[str] = []
    last, more = "", False
    beyond = bool(start) and start >= prefix
    keys = held.buckets[request.bucket].from_key(max(start, prefix), after=beyond)
    for key, versions in keys:
        if not key.startswith(prefix):
            break
        if versions[0].marker:
            continue
        if len(page) == most:
            more = True
            break
        page.append(f"<Contents>{_name(request, key)}{_facts(versions[0])}</Contents>")
        last = key
    told = [element("Name", request.bucket), element("Prefix", _coded(request, prefix))]
    told += [element("KeyCount", len(page)), element("MaxKeys", most), _coding(request)]
    told.append(element("IsTruncated", str(more).lower()))
    if more:
        told.append(element("NextContinuationToken", base64.b64encode(last.encode()).decode()))
    return document(f"<ListBucketResult>{''.join(told + page)}</ListBucketResult>")


def versions(held: Objects, identity: Identity, request: Request) -> Answer:
    """ListObjectVersions."""
    prefix, most = request.query.get("prefix", ""), _page(request)
    hold(identity, "List", request.bucket, prefix)
    page: list[str] = []
    last: tuple[str, str] = ("", "")
    more = False
    for key, version, latest in _from_marker(held, request, prefix):
        if len(page) == most:
            more = True
            break
        kind = "DeleteMarker" if version.marker else "Version"
        facts = _stamped(version) if version.marker else _facts(version)
        known = element("VersionId", version.id) + element("IsLatest", str(latest).lower())
        page.append(f"<{kind}>{_name(request, key)}{known}{facts}</{kind}>")
        last = (key, version.id)
    told = [element("Name", request.bucket), element("Prefix", _coded(request, prefix))]
    told += [element("MaxKeys", most), _coding(request), element("IsTruncated", str(more).lower())]
    if more:
        told += [element("NextKeyMarker", _coded(request, last[0]))]
        told += [element("NextVersionIdMarker", last[1])]
    return document(f"<ListVersionsResult>{''.join(told + page)}</ListVersionsResult>")


def _from_marker(
    held: Objects, request: Request, prefix: str
) -> Iterator[tuple[str, Version, bool]]:
    marker, seen = request.query.get("key-marker", ""), request.query.get("version-id-marker")
    for key, kept in held.buckets[request.bucket].from_key(max(prefix, marker)):
        if not key.startswith(prefix):
            return
        waiting = key == marker and marker != ""
        if waiting and seen is None:
            continue
        for place, version in enumerate(kept):
            if not waiting:
                yield key, version, place == 0
            elif version.id == seen:
                waiting = False


def entries(body: bytes) -> list[tuple[str, str | None]]:
    """Return key and version of each object that a batch names."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314  only our own tests and rehearsals send it
    except ElementTree.ParseError:
        raise S3Error(400, "MalformedXML", "the body is no XML") from None
    found = []
    for item in root.iter():
        if item.tag.endswith("}Object") or item.tag == "Object":
            fields = {child.tag.rpartition("}")[2]: child.text or "" for child in item}
            found.append((fields.get("Key", ""), fields.get("VersionId")))
    return found


def _page(request: Request) -> int:
    return max(1, min(_MOST, int(request.query.get("max-keys", _MOST))))


def _name(request: Request, key: str) -> str:
    return element("Key", _coded(request, key))


def _coded(request: Request, text: str) -> str:
    return quote(text, safe="/") if request.query.get("encoding-type") == "url" else text


def _coding(request: Request) -> str:
    return element("EncodingType", "url") if request.query.get("encoding-type") == "url" else ""


def _stamped(version: Version) -> str:
    return element("LastModified", stamp(version.modified))


def _facts(version: Version) -> str:
    size = element("Size", len(version.data))
    return _stamped(version) + element("ETag", f'"{version.etag}"') + size
