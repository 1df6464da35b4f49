"""Who signed a request (Signature Version 4), and what they may do."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import quote

from worlds.objects.requests import Request, S3Error
from worlds.servers.s3 import Identity

_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>[^,]+), ?"
    r"SignedHeaders=(?P<headers>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})\Z"
)


def signer(request: Request, identities: Mapping[str, Identity]) -> Identity:
    """Return who signed the request.

    Raises:
        S3Error: nobody did, nobody is known by that key, or the signature is another's.
    """
    match = _SIGNED.match(request.headers.get("authorization", ""))
    if match is None:
        raise S3Error(403, "AccessDenied", "the request is not signed")
    identity = identities.get(match["key"])
    if identity is None:
        raise S3Error(403, "InvalidAccessKeyId", "there is no such access key")
    digest = request.headers.get("x-amz-content-sha256", "")
    if re.fullmatch("[0-9a-f]{64}", digest) and hashlib.sha256(request.body).hexdigest() != digest:
        raise S3Error(400, "XAmzContentSHA256Mismatch", "the body is not what was signed")
    wanted = _signature(request, identity.secret_key, match["scope"], match["headers"])
    if not hmac.compare_digest(wanted, match["signature"]):
        raise S3Error(403, "SignatureDoesNotMatch", "the signature is not that of this key")
    return identity


def _signature(request: Request, secret: str, scope: str, names: str) -> str:
    headers = "".join(
        f"{name}:{request.headers.get(name, '').strip()}\n" for name in names.split(";")
    )
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in request.query.items()
    )
    query = "&".join(f"{name}={value}" for name, value in pairs)
    digest = request.headers.get("x-amz-content-sha256")
    digest = digest or hashlib.sha256(request.body).hexdigest()
    canonical = "\n".join([request.method, request.path, query, headers, names, digest])
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    moment = request.headers.get("x-amz-date", "")
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashed])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def hold(identity: Identity, right: str, bucket: str, key: str = "") -> None:
    """See that the identity has a right, `Read`, `List`, `Write`, on an object or a whole bucket.

    Raises:
        S3Error: it has not.
    """
    if not allowed(identity, right, bucket, key):
        raise S3Error(403, "AccessDenied", "Access Denied.")


def allowed(identity: Identity, right: str, bucket: str, key: str = "") -> bool:
    """Whether it has the right: `Admin`, `Read`, `Read:bucket`, `Write:bucket/prefix/*`."""
    for action in identity.actions:
        name, _, place = action.partition(":")
        if name not in (right, "Admin"):
            continue
        where, _, prefix = place.partition("/")
        if not place or (where == bucket and (not prefix or key.startswith(prefix.rstrip("*")))):
            return True
    return False
