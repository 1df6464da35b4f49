"""S3's cases, with and without versions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pytest

from actions.s3 import (
    S3Copy,
    S3Delete,
    S3Download,
    S3Head,
    S3Kind,
    S3List,
    S3Put,
    S3Quarantine,
    S3Upload,
)
from engine.contract import Category
from tests.contract.actions.cases import ChangeCase, Fault, ReadCase
from tests.contract.actions.conftest import Buckets
from tests.contract.actions.storing import overwrite, with_store
from tests.contract.actions.worlds import Connections
from worlds.servers.process import free_port
from worlds.servers.s3 import ADMIN

IN_MEMORY = pytest.StashKey[bool]()


def connections(url: str, secret: str = ADMIN.secret_key, **settings: Any) -> Connections:
    raw: Mapping[str, Any] = {
        "endpoint_url": url,
        "access_key": {"env": "ACCESS"},
        "secret_key": {"env": "SECRET"},
        "timeout": 5,
        **settings,
    }
    return Connections({"s3": (S3Kind(), raw)}, {"ACCESS": ADMIN.access_key, "SECRET": secret})


def _faults(buckets: Buckets, params: Mapping[str, Any]) -> dict[str, Fault]:
    good = connections(buckets.recorder.url)
    return {
        "unreachable": Fault(
            Category.TRANSIENT, connections(f"http://127.0.0.1:{free_port()}"), params
        ),
        "credentials": Fault(
            Category.CONFIGURATION, connections(buckets.recorder.url, "not+the/secret"), params
        ),
        "missing": Fault(Category.PERMANENT, good, {**params, "bucket": "no-such-bucket"}),
    }


def _buckets(request: pytest.FixtureRequest) -> Buckets:
    """The buckets of the real server, or, for a case that says so, those in memory."""
    made = request.node.stash.get(IN_MEMORY, False)
    found: Buckets = request.getfixturevalue("memory_buckets" if made else "buckets")
    return found


def _parts(request: pytest.FixtureRequest, params: Mapping[str, Any]) -> tuple[Any, ...]:
    buckets = _buckets(request)
    whole = {"connection": "s3", **params}
    if "bucket" not in whole:
        whole["bucket"] = buckets.plain
    elif whole["bucket"] == "versioned":
        whole["bucket"] = buckets.versioned
    allow = {"buckets": [buckets.plain, buckets.versioned]}
    return (
        connections(buckets.recorder.url, allow=allow),
        whole,
        buckets.state,
        buckets.recorder.http_writes,
        _faults(buckets, whole),
        [ADMIN.secret_key, "not+the/secret"],
    )


def _meddle(request: pytest.FixtureRequest, versioned: bool, key: str) -> Any:
    buckets = _buckets(request)
    bucket = buckets.versioned if versioned else buckets.plain
    return lambda: buckets.boto.put_object(Bucket=bucket, Key=key, Body=b"others")


def _change(parts: Any, action: Any, meddle: Any, conflict: str) -> ChangeCase:
    case = ChangeCase(*parts, action=action)
    case.meddle, case.conflict = meddle, conflict
    return case


def _put(key: str, **params: Any) -> Any:
    def build(request: pytest.FixtureRequest) -> ChangeCase:
        parts = _parts(request, {"key": key, "value": {"paused": True}, **params})
        meddle = _meddle(request, "bucket" in params, key)
        return _change(parts, S3Put(), meddle, f"{key}, ETag")

    return build


def _delete(**params: Any) -> Any:
    def build(request: pytest.FixtureRequest) -> ChangeCase:
        parts = _parts(request, params)
        meddle = _meddle(request, True, "tmp/a") if "bucket" in params else None
        return _change(parts, S3Delete(), meddle, "tmp/a, ETag")

    return build


def listing(request: pytest.FixtureRequest) -> ReadCase:
    def check(output: Any) -> None:
        assert [item["key"] for item in output["objects"]] == ["tmp/a", "tmp/b"]
        assert (output["count"], output["bytes"], output["truncated"]) == (2, 14, False)

    return ReadCase(*_parts(request, {"prefix": "tmp/"}), action=S3List(), check=check)


def _copy(to_key: str, **params: Any) -> Any:
    def build(request: pytest.FixtureRequest) -> ChangeCase:
        parts = _parts(request, {"key": "tmp/a", "to_key": to_key, **params})
        meddle = _meddle(request, "bucket" in params, to_key)
        case = _change(parts, S3Copy(), meddle, f"{to_key}, ETag")
        if params.get("overwrite") and "bucket" not in params:
            case.meddle = None  # irreversible: nothing is kept
        return case

    return build


def _quarantine(**params: Any) -> Any:
    def build(request: pytest.FixtureRequest) -> ChangeCase:
        parts = _parts(request, {"to": "bad/", **params})
        meddle = _meddle(request, "bucket" in params, "tmp/a")
        return _change(parts, S3Quarantine(), meddle, "tmp/a, ETag")

    return build


def _upload(**params: Any) -> Any:
    def build(request: pytest.FixtureRequest) -> ChangeCase:
        data = b"rows" * 5000
        digest = hashlib.sha256(data).hexdigest()
        artifact = {"connection": "kept", "name": "jobs", "sha256": digest, "bytes": len(data)}
        parts = _parts(request, {"key": "new/jobs", "artifact": artifact, **params})
        meddle = _meddle(request, "bucket" in params, "new/jobs")
        case = _change(parts, S3Upload(), meddle, "new/jobs, ETag")
        folder = with_store(request, case)
        folder.mkdir(exist_ok=True)
        (folder / "jobs").write_bytes(data)
        return case

    return build


def download(request: pytest.FixtureRequest) -> ChangeCase:
    parts = _parts(request, {"key": "tmp/a", "artifacts": "kept", "name": "got/a"})
    case = ChangeCase(*parts, action=S3Download())
    folder = with_store(request, case)
    case.meddle, case.conflict = (lambda: overwrite(folder / "got/a")), "got/a, sha256"
    return case


def head(request: pytest.FixtureRequest) -> ReadCase:
    def check(output: Any) -> None:
        assert (output["exists"], output["bytes"]) == (True, 7)
        assert (output["content_type"], output["metadata"]) == ("text/csv", {"owner": "alice"})

    return ReadCase(*_parts(request, {"key": "tmp/a"}), action=S3Head(), check=check)


def head_bucket(request: pytest.FixtureRequest) -> ReadCase:
    def check(output: Any) -> None:
        assert output == {"exists": True}

    return ReadCase(*_parts(request, {}), action=S3Head(), check=check)


CHANGES = {
    "s3.put: over an object": _put("keep"),
    "s3.put: a new object": _put("new/one"),
    "s3.put: a new version": _put("keep", bucket="versioned"),
    "s3.put: a first version": _put("new/one", bucket="versioned"),
    "s3.delete: by prefix": _delete(prefix="tmp/"),
    "s3.delete: by key": _delete(keys=["keep", "gone"]),
    "s3.delete: versions": _delete(prefix="tmp/", bucket="versioned"),
}
CHANGES |= {
    "s3.copy: a new object": _copy("new/a b+c"),
    "s3.copy: over an object": _copy("keep", overwrite=True),
    "s3.copy: a new version": _copy("keep", overwrite=True, bucket="versioned"),
    "s3.quarantine: by prefix": _quarantine(prefix="tmp/"),
    "s3.quarantine: versions": _quarantine(prefix="tmp/", bucket="versioned"),
}
CHANGES |= {
    "s3.upload: a new object": _upload(),
    "s3.upload: a first version": _upload(bucket="versioned"),
    "s3.download": download,
}
# What rights are measured by besides: its name stands in the policy, and there are versions.
FOR_RIGHTS = {"s3.delete: a version by key": _delete(keys=["keep"], bucket="versioned")}
READS = {"s3.list": listing, "s3.head": head, "s3.head: a bucket": head_bucket}


def _in_memory(build: Any) -> Any:
    def built(request: pytest.FixtureRequest) -> Any:
        request.node.stash[IN_MEMORY] = True
        return build(request)

    return built


# The world that rehearsals use answers as the real server does.
CHANGES |= {
    f"{label}{',' if ':' in label else ':'} in memory": _in_memory(build)
    for label, build in CHANGES.items()
}
READS |= {
    f"{label}{',' if ':' in label else ':'} in memory": _in_memory(build)
    for label, build in READS.items()
}
