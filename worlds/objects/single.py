"""Requests about one object: put, copy, get, head, delete, with their conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import format_datetime
from urllib.parse import unquote

from worlds.objects.listing import stamp
from worlds.objects.objects import NULL, Objects, Version
from worlds.objects.requests import Answer, Request, S3Error, document, element
from worlds.objects.rights import hold
from worlds.servers.s3 import Identity

_META = "x-amz-meta-"
_KEPT = ("Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language")


def _put(objects: Objects, identity: Identity, request: Request) -> Answer:
    hold(identity, "Write", request.bucket, request.key)
    if "x-amz-copy-source" in request.headers:
        return _copy(objects, identity, request)
    if request.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
        raise S3Error(501, "NotImplemented", "bodies with trailers are not played here")
    _hold_conditions(request.headers, _latest(objects, request))
    made = objects.put(
        request.bucket,
        request.key,
        request.body,
        content_type=request.headers.get("content-type", "binary/octet-stream"),
        metadata=_metadata(request.headers),
        headers=_kept(request.headers),
    )
    return Answer(200, {"ETag": f'"{made.etag}"', **_version(made)})


def _copy(objects: Objects, identity: Identity, request: Request) -> Answer:
    source, _, version = request.headers["x-amz-copy-source"].partition("?versionId=")
    bucket, _, key = unquote(source).lstrip("/").partition("/")
    hold(identity, "Read", bucket, key)
    if bucket not in objects.buckets:
        raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist")
    held = objects.buckets[bucket]
    found = held.find(key, unquote(version)) if version else held.latest(key)
    if found is None or found.marker:
        raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
    expected = request.headers.get("x-amz-copy-source-if-match")
    if expected is not None and expected.strip('"') != found.etag:
        raise S3Error(412, "PreconditionFailed", "the source is another than the condition says")
    anew = request.headers.get("x-amz-metadata-directive") == "REPLACE"
    kind = request.headers.get("content-type", "binary/octet-stream")
    made = objects.put(
        request.bucket,
        request.key,
        found.data,
        content_type=kind if anew else found.content_type,
        metadata=_metadata(request.headers) if anew else found.metadata,
        headers=_kept(request.headers) if anew else found.headers,
    )
    told = element("ETag", f'"{made.etag}"') + element("LastModified", stamp(made.modified))
    answer = document(f"<CopyObjectResult>{told}</CopyObjectResult>")
    return Answer(200, {**answer.headers, **_version(made)}, answer.body)


def _get(objects: Objects, identity: Identity, request: Request) -> Answer:
    hold(identity, "Read", request.bucket, request.key)
    asked = request.query.get("versionId")
    held = objects.buckets[request.bucket]
    found = held.find(request.key, asked) if asked else held.latest(request.key)
    if found is None:
        code = "NoSuchVersion" if asked else "NoSuchKey"
        raise S3Error(404, code, "The specified key or version does not exist.")
    if found.marker and asked:
        raise S3Error(405, "MethodNotAllowed", "that version is a delete marker")
    if found.marker:
        raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
    _hold_conditions(request.headers, found)
    headers = {
        "ETag": f'"{found.etag}"',
        "Last-Modified": format_datetime(found.modified, usegmt=True),
        "Content-Type": found.content_type,
        "Content-Length": str(len(found.data)),
        **found.headers,
        **{f"{_META}{name}": value for name, value in found.metadata.items()},
        **_version(found),
    }
    return Answer(200, headers, b"" if request.method == "HEAD" else found.data)


def _delete(objects: Objects, identity: Identity, request: Request) -> Answer:
    hold(identity, "Write", request.bucket, request.key)
    gone = objects.delete(request.bucket, request.key, request.query.get("versionId"))
    if gone is None:
        return Answer(204)
    marked = {"x-amz-delete-marker": "true"} if gone.marker else {}
    return Answer(204, {**_version(gone), **marked})


def _latest(objects: Objects, request: Request) -> Version | None:
    found = objects.buckets[request.bucket].latest(request.key)
    return None if found is None or found.marker else found


def _hold_conditions(headers: Mapping[str, str], found: Version | None) -> None:
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if match is not None and (found is None or match.strip('"') != found.etag):
        if found is None:
            raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
        raise S3Error(412, "PreconditionFailed", "the object is another than the condition says")
    if none_match == "*" and found is not None:
        raise S3Error(412, "PreconditionFailed", "the object is there already")


def _version(version: Version) -> dict[str, str]:
    return {} if version.id == NULL else {"x-amz-version-id": version.id}


def _metadata(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(_META): value for name, value in headers.items() if name.startswith(_META)
    }


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name.lower()] for name in _KEPT if name.lower() in headers}


HANDLERS: Mapping[str, Callable[[Objects, Identity, Request], Answer]] = {
    "PUT": _put,
    "GET": _get,
    "HEAD": _get,
    "DELETE": _delete,
}
