"""Objects of an S3 service in a rehearsal: buckets in memory, with versions."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from engine.domain.canonical import Json
from engine.domain.clock import ManualClock
from engine.domain.errors import InvalidInput
from engine.domain.rehearsed import Message, NetChange, Scene
from worlds.objects import Identity, Objects, attach
from worlds.rehearsal.bucketspec import BucketsSpec, ObjectSpec

_KEY, _SECRET = "REHEARSAL_KEY", "REHEARSAL_SECRET"
SHOWN = 200  # bytes of an object that differences show


class BucketsWorld:
    """The service, its beginning, and what differs from it."""

    def __init__(self, spec: BucketsSpec, scene: Scene) -> None:
        self._scene = scene
        identity = Identity("rehearsal", f"rehearsed-{_KEY}", f"rehearsed-{_SECRET}")
        clock = ManualClock(scene.clock.now())
        self.objects = Objects(identities=[identity], clock=clock)
        for name, bucket in spec.buckets.items():
            self.objects.create(name, versioned=bucket.versioned)
            for key, given in bucket.objects.items():
                self._put(clock, name, key, given)
        self.objects.clock = scene.clock
        self._before = self._current()

    def settings(self) -> Mapping[str, Any]:
        return {
            "endpoint_url": "http://objects.rehearsal.invalid",
            "access_key": {"env": _KEY},
            "secret_key": {"env": _SECRET},
            "session_token": None,
        }

    def transport(self, *, writable: bool) -> Any:
        del writable  # the client's own guard lets no write through
        return partial(_attached, self.objects)

    def messages(self) -> Sequence[Message]:
        return ()

    def unanswered(self) -> Sequence[str]:
        return ()

    def unasked(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        """Nothing is open."""

    def changes(self) -> Sequence[NetChange]:
        after = self._current()
        found = []
        for target in sorted({*self._before, *after}):
            old, new = self._before.get(target), after.get(target)
            if old == new:
                continue
            if old is None:
                found.append(NetChange(target, what="created"))
            elif new is None:
                found.append(NetChange(target, what="deleted"))
            else:
                found.append(NetChange(target, {"data": (_shown(old), _shown(new))}))
        return found

    def _current(self) -> dict[str, bytes]:
        return {
            f"{bucket}/{key}": version.data
            for bucket in self.objects.buckets
            for key, version in self.objects.current(bucket).items()
        }

    def _put(self, clock: ManualClock, bucket: str, key: str, given: str | ObjectSpec) -> None:
        spec = ObjectSpec(text=given) if isinstance(given, str) else given
        clock.advance(-spec.age)
        self.objects.put(
            bucket,
            key,
            self._data(spec, f"{bucket}/{key}"),
            content_type=spec.content_type,
            metadata=spec.metadata,
        )
        clock.advance((self._scene.clock.now() - clock.now()) / timedelta(seconds=1))

    def _data(self, spec: ObjectSpec, where: str) -> bytes:
        if spec.text is not None:
            return spec.text.encode()
        if spec.base64 is not None:
            return base64.b64decode(spec.base64)
        if spec.size is not None:
            return b"\0" * spec.size
        if spec.file is None:
            return json.dumps(spec.json_).encode()
        path = self._scene.folder / spec.file
        if not path.is_file():
            raise InvalidInput(f"world {self._scene.connection}: {where}: there is no file {path}")
        return path.read_bytes()


def _attached(objects: Objects, boto: Any) -> None:
    attach(boto, objects)


def _shown(data: bytes) -> Json:
    text = data[:SHOWN].decode("utf-8", "replace")
    return text if len(data) <= SHOWN else f"{text}… ({len(data)} bytes)"
