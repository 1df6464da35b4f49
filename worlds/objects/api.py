"""S3's own API over `Objects`: which request means what, and the requests about whole buckets."""

from __future__ import annotations

import re
from collections.abc import Callable

from worlds.objects import listing, single
from worlds.objects.objects import Objects
from worlds.objects.requests import Answer, Request, S3Error, document, element
from worlds.objects.rights import allowed, hold, signer
from worlds.servers.s3 import Identity

Handler = Callable[[Objects, Identity, Request], Answer]


def answer(objects: Objects, request: Request) -> Answer:
    """Answer one request as S3 would, errors included."""
    with objects.lock:
        try:
            identity = signer(request, objects.identities)
            return _handler(objects, request)(objects, identity, request)
        except S3Error as error:
            return error.answer()


def _handler(objects: Objects, request: Request) -> Handler:
    method, query = request.method, request.query
    if not request.bucket:
        return _list_buckets
    if method == "PUT" and not request.key and not query:
        return _create_bucket
    if request.bucket not in objects.buckets:
        raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist")
    if request.key:
        known = single.HANDLERS.get(method)
    elif "versioning" in query:
        known = {"GET": _get_versioning, "PUT": _put_versioning}.get(method)
    elif "versions" in query:
        known = listing.versions if method == "GET" else None
    elif "delete" in query:
        known = _delete_objects if method == "POST" else None
    else:
        known = {"HEAD": _head_bucket, "GET": listing.objects, "DELETE": _delete_bucket}.get(method)
    unknown = set(query) & {"uploads", "uploadId", "acl", "tagging", "policy", "lifecycle"}
    if known is None or unknown:
        raise S3Error(501, "NotImplemented", f"{method} is not played here: {sorted(query)}")
    return known


def _list_buckets(objects: Objects, identity: Identity, request: Request) -> Answer:
    if request.method != "GET" or not any(name.startswith("Admin") for name in identity.actions):
        raise S3Error(403, "AccessDenied", "Access Denied.")
    names = "".join(f"<Bucket>{element('Name', name)}</Bucket>" for name in sorted(objects.buckets))
    return document(f"<ListAllMyBucketsResult><Buckets>{names}</Buckets></ListAllMyBucketsResult>")


def _create_bucket(objects: Objects, identity: Identity, request: Request) -> Answer:
    hold(identity, "Admin", request.bucket)
    if request.bucket in objects.buckets:
        raise S3Error(409, "BucketAlreadyOwnedByYou", "the bucket is there already")
    objects.create(request.bucket)
    return Answer(200, {"Location": f"/{request.bucket}"})


def _delete_bucket(objects: Objects, identity: Identity, request: Request) -> Answer:
    hold(identity, "Admin", request.bucket)
    if len(objects.buckets[request.bucket]):
        raise S3Error(409, "BucketNotEmpty", "the bucket is not empty")
    del objects.buckets[request.bucket]
    return Answer(204)


def _head_bucket(objects: Objects, identity: Identity, request: Request) -> Answer:
    del objects
    if not any(allowed(identity, right, request.bucket) for right in ("List", "Read", "Write")):
        raise S3Error(403, "AccessDenied", "Access Denied.")
    return Answer(200)


def _get_versioning(objects: Objects, identity: Identity, request: Request) -> Answer:
    if not any(allowed(identity, right, request.bucket) for right in ("List", "Read")):
        raise S3Error(403, "AccessDenied", "Access Denied.")
    state = objects.buckets[request.bucket].versioning
    inner = element("Status", state) if state else ""
    return document(f"<VersioningConfiguration>{inner}</VersioningConfiguration>")


def _put_versioning(objects: Objects, identity: Identity, request: Request) -> Answer:
    hold(identity, "Admin", request.bucket)
    match = re.search(rb"<Status>(Enabled|Suspended)</Status>", request.body)
    if match is None:
        raise S3Error(400, "MalformedXML", "Status must be Enabled or Suspended")
    objects.buckets[request.bucket].versioning = match.group(1).decode()
    return Answer(200)


def _delete_objects(objects: Objects, identity: Identity, request: Request) -> Answer:
    """Delete a batch; what is refused is told inside a 200 answer, as S3 does."""
    done = []
    entries = listing.entries(request.body)
    if not 0 < len(entries) <= 1000:
        raise S3Error(400, "MalformedXML", "a batch has 1 to 1000 objects")
    for key, version in entries:
        if not allowed(identity, "Write", request.bucket, key):
            said = [element("Key", key), element("Code", "AccessDenied")]
            done.append(f"<Error>{''.join(said)}<Message>Access Denied.</Message></Error>")
            continue
        gone = objects.delete(request.bucket, key, version)
        told = [element("Key", key)]
        if version is not None:
            told.append(element("VersionId", version))
        if gone is not None and gone.marker:
            told.append("<DeleteMarker>true</DeleteMarker>")
            told.append(element("DeleteMarkerVersionId", gone.id))
        done.append(f"<Deleted>{''.join(told)}</Deleted>")
    return document(f"<DeleteResult>{''.join(done)}</DeleteResult>")
