"""The objects themselves: buckets, keys in order, versions, delete markers."""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from engine.domain.clock import Clock, SystemClock
from worlds.servers.s3 import ADMIN, Identity

NULL = "null"  # the id of what was written while versions were not kept


@dataclass(frozen=True)
class Version:
    """One version of an object; a delete marker has no data.

    Attributes:
        id: its version id, `null` where the bucket kept no versions.
        etag: MD5 of the data in hexadecimal, without quotes.
        headers: `Cache-Control` and their like, by name.
    """

    id: str
    data: bytes
    etag: str
    modified: datetime
    content_type: str = "binary/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    marker: bool = False


class Bucket:
    """Keys in order, each with its versions, the oldest first."""

    def __init__(self, versioning: str = "") -> None:
        self.versioning = versioning  # "", "Enabled" or "Suspended"
        self._keys: list[str] = []
        self._versions: dict[str, list[Version]] = {}

    def latest(self, key: str) -> Version | None:
        """Return the newest version, which may be a delete marker; None where there never was one."""
        kept = self._versions.get(key)
        return kept[-1] if kept else None

    def find(self, key: str, version: str) -> Version | None:
        """Return one version by its id."""
        return next((one for one in self._versions.get(key, ()) if one.id == version), None)

    def from_key(
        self, start: str, *, after: bool = False
    ) -> Iterator[tuple[str, Sequence[Version]]]:
        """Yield the keys from `start` on, or after it, with their versions, the newest first."""
        place = bisect_left(self._keys, start)
        for key in self._keys[place:]:
            if not (after and key == start):
                yield key, self._versions[key][::-1]

    def add(self, key: str, version: Version) -> None:
        """Make it the newest; a `null` version takes the place of another."""
        kept = self._versions.setdefault(key, [])
        if not kept:
            insort(self._keys, key)
        if version.id == NULL:
            kept[:] = [one for one in kept if one.id != NULL]
        kept.append(version)

    def drop(self, key: str, version: str) -> Version | None:
        """Take one version away for good and return it."""
        found = self.find(key, version)
        if found is None:
            return None
        kept = self._versions[key]
        kept.remove(found)
        if not kept:
            del self._versions[key]
            del self._keys[bisect_left(self._keys, key)]
        return found

    def __len__(self) -> int:
        return len(self._keys)


class Objects:
    """All buckets, and who may do what. Safe to share between threads through `lock`.

    Args:
        identities: who may sign in; default: one administrator, `ADMIN`.
        clock: where the times of objects come from.
    """

    def __init__(
        self, *, identities: Sequence[Identity] = (ADMIN,), clock: Clock | None = None
    ) -> None:
        self.identities = {one.access_key: one for one in identities}
        self.buckets: dict[str, Bucket] = {}
        self.lock = threading.RLock()
        self.clock = clock or SystemClock()
        self._numbers = 0

    def create(self, bucket: str, *, versioned: bool = False) -> Bucket:
        """Make a bucket, or return the one that is there."""
        with self.lock:
            made = self.buckets.setdefault(bucket, Bucket())
            if versioned:
                made.versioning = "Enabled"
            return made

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes,
        *,
        content_type: str = "binary/octet-stream",
        metadata: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Version:
        """Write an object and return its version."""
        with self.lock:
            made = Version(
                self._next_id(bucket),
                data,
                hashlib.md5(data, usedforsecurity=False).hexdigest(),
                self.clock.now(),
                content_type,
                dict(metadata or {}),
                dict(headers or {}),
            )
            self.buckets[bucket].add(key, made)
            return made

    def delete(self, bucket: str, key: str, version: str | None = None) -> Version | None:
        """Delete as S3 does: one version for good, or, where versions are kept, by a delete marker.

        Returns:
            The version that is gone, or the marker that was set; None where nothing happened.
        """
        with self.lock:
            held = self.buckets[bucket]
            if version is not None:
                return held.drop(key, version)
            if not held.versioning:
                return held.drop(key, NULL)
            marker = Version(self._next_id(bucket), b"", "", self.clock.now(), marker=True)
            held.add(key, marker)
            return marker

    def current(self, bucket: str) -> dict[str, Version]:
        """Return every object that a reader sees, by key."""
        with self.lock:
            return {
                key: versions[0]
                for key, versions in self.buckets[bucket].from_key("")
                if not versions[0].marker
            }

    def _next_id(self, bucket: str) -> str:
        if self.buckets[bucket].versioning != "Enabled":
            return NULL
        self._numbers += 1
        return f"v{self._numbers:012d}"
