"""The `s3` connection: settings, allow-list, and a boto3 client that refuses what it should not send."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field

from actions.aws.failures import failed
from actions.aws.policy import policy
from actions.aws.settings import AwsSettings
from engine.contract import (
    ActionFailed,
    Category,
    ConnectionKind,
    Grant,
    Opening,
    Target,
)

READS = frozenset(
    {
        "GetBucketVersioning",
        "GetObject",
        "HeadBucket",
        "HeadObject",
        "ListBuckets",
        "ListObjectVersions",
        "ListObjectsV2",
    }
)
WRITES = frozenset({"CopyObject", "DeleteObject", "DeleteObjects", "PutObject"})


class S3Allow(BaseModel):
    """What may be read and written."""

    model_config = ConfigDict(extra="forbid")

    buckets: list[str] = Field(default_factory=list, description="Whole buckets")
    prefixes: list[str] = Field(
        default_factory=list,
        description="`bucket/prefix`: keys that start so",
        examples=[["etl-output/tmp/"]],
    )

    def allows(self, bucket: str, key: str) -> bool:
        return bucket in self.buckets or any(
            f"{bucket}/{key}".startswith(prefix) for prefix in self.prefixes if "/" in prefix
        )


class S3Settings(AwsSettings):
    """Settings of an `s3` connection."""

    allow: S3Allow | None = Field(None, description="Buckets and prefixes it may touch")


class S3Client:
    """A guarded boto3 client. Safe to share between threads."""

    def __init__(self, opening: Opening) -> None:
        self.name = opening.name
        self.settings = cast(S3Settings, opening.settings)
        self.writable = opening.writable
        self._boto, self._redactor = self.settings.open(
            "s3",
            opening,
            s3={"addressing_style": "path" if self.settings.endpoint_url else "auto"},
            signature_version="s3v4",
            # Servers other than Amazon's refuse the newer checksum trailers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        events = self._boto.meta.events
        events.register("before-parameter-build.s3", self._guard)

    def _guard(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        """Runs inside boto3 before every request, whoever makes it."""
        operation: str = model.name
        if operation not in READS and not (self.writable and operation in WRITES):
            what = f"this world is read-only, and {operation} is a write; not sent"
            if self.writable:
                what = f"{operation} is no operation of these actions; not sent"
            raise self.failure(Category.PERMANENT, what)
        bucket = params.get("Bucket")
        if self.settings.allow is None or bucket is None or operation.endswith("BucketVersioning"):
            return
        keys = [item["Key"] for item in params.get("Delete", {}).get("Objects", [])]
        keys = keys or [params.get("Key", params.get("Prefix", ""))]
        touched = [(bucket, key) for key in keys] + _source(params.get("CopySource"))
        for where, key in touched:
            if not self.settings.allow.allows(where, key) and operation != "HeadBucket":
                what = f"{where}/{key} is not in the allow-list"
                raise self.failure(Category.CONFIGURATION, what)

    @contextmanager
    def calling(self, *, writes: bool = False) -> Iterator[Any]:
        """Hand out the boto3 client and classify whatever goes wrong.

        Args:
            writes: whether a request of this block may have taken effect although it failed.

        Raises:
            ActionFailed: classified.
        """
        import botocore.exceptions as problems
        from botocore.parsers import ResponseParserError

        try:
            yield self._boto
        except (problems.ClientError, problems.BotoCoreError, ResponseParserError) as error:
            raise failed(error, self.name, self._redactor, writes=writes) from None

    def head(self, bucket: str, key: str, version: str | None = None) -> dict[str, Any] | None:
        """Return what HEAD says of an object, or None where there is none.

        Raises:
            ActionFailed: classified; no such bucket is permanent.
        """
        import botocore.exceptions as problems

        extra = {"VersionId": version} if version else {}
        with self.calling() as boto:
            try:
                found = cast(dict[str, Any], boto.head_object(Bucket=bucket, Key=key, **extra))
            except problems.ClientError as error:
                status = error.response["ResponseMetadata"].get("HTTPStatusCode")
                if status not in (404, 405):  # 405: that version is a delete marker
                    raise
                boto.head_bucket(Bucket=bucket)  # a HEAD has no body: is it the key or the bucket?
                return None
        if "ETag" not in found:
            what = f"{bucket}/{key}: the answer has no ETag; is the endpoint that of an S3 server?"
            raise self.failure(Category.TRANSIENT, what)
        return found

    def versioned(self, bucket: str) -> bool:
        """Whether overwritten and deleted objects are kept as versions; no where that may not be asked."""
        try:
            with self.calling() as boto:
                answer = boto.get_bucket_versioning(Bucket=bucket)
        except ActionFailed as error:
            if error.category is Category.CONFIGURATION:
                return False
            raise
        return bool(answer.get("Status") == "Enabled")

    def objects(self, bucket: str, prefix: str, limit: int) -> list[dict[str, Any]]:
        """Return at most `limit` objects below `prefix`, page by page."""
        found: list[dict[str, Any]] = []
        with self.calling() as boto:
            pages = boto.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": min(1000, limit)}
            )
            for page in pages:
                found += page.get("Contents", [])
                if len(found) >= limit:
                    break
        return found[:limit]

    def failure(self, category: Category, what: str, *, sent: bool = False) -> ActionFailed:
        message = self._redactor.text(f"s3 connection {self.name!r}: {what}")
        return ActionFailed(category, message, effect_possible=sent)

    def close(self) -> None:
        self._boto.close()


def _source(given: Any) -> list[tuple[str, str]]:
    """Return bucket and key of a copy's source, as boto3 takes it or as it sends it."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [(str(given["Bucket"]), str(given["Key"]))]
    bucket, _, key = unquote(str(given).partition("?versionId=")[0]).lstrip("/").partition("/")
    return [(bucket, key)]


class S3Kind(ConnectionKind):
    """Connections to S3 and to what speaks its API."""

    kind = "s3"
    Settings = S3Settings

    def open(self, opening: Opening) -> S3Client:
        return S3Client(opening)

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        assert isinstance(settings, S3Settings)
        bucket, _, key = target.path.partition("/")
        if settings.allow is None or settings.allow.allows(bucket, key):
            return None
        return f"{target.path} is not in the allow-list of connection {target.connection!r}"

    def check(self, client: S3Client) -> Mapping[str, str]:
        allow = client.settings.allow
        names = (
            sorted({*allow.buckets, *(p.partition("/")[0] for p in allow.prefixes)})
            if allow
            else []
        )
        with client.calling() as boto:
            if not names:
                boto.list_buckets()
            for name in names:
                boto.head_bucket(Bucket=name)
        return {
            "endpoint": client.settings.endpoint_url or "Amazon S3",
            "buckets": ", ".join(names),
        }

    def grant_text(self, settings: BaseModel, grants: Sequence[Grant], user: str) -> str:
        del settings, user  # whom the policy is attached to is said where it is attached
        return json.dumps(policy(grants), indent=2) + "\n"

    def close(self, client: S3Client) -> None:
        client.close()
