"""The folder itself: an artifact is there whole, durable and under its key, or not at all.

A file is drafted under `.drafts`, then linked to its name, which fails where the name is taken. What is
known of it besides (which key wrote it, its digest, facts of the action) stands under `.meta`, written
before the link: a note without its file means nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from actions.artifacts.reference import NAME, ArtifactRef
from actions.disk import category_of
from engine.contract import ActionFailed, Category
from engine.domain.canonical import JsonObject

_BLOCK = 1 << 20
_STALE = 24 * 3600  # seconds after which a draft belongs to a process that is gone


@dataclass(frozen=True)
class Kept:
    """An artifact that is there. `key` wrote it; empty where the store did not. `facts` are its action's."""

    name: str
    sha256: str
    bytes: int
    key: str = ""
    facts: JsonObject = field(default_factory=dict)

    def reference(self, connection: str) -> JsonObject:
        """Return what steps pass on."""
        return {
            "connection": connection,
            "name": self.name,
            "sha256": self.sha256,
            "bytes": self.bytes,
        }


class Draft:
    """An artifact that is being written. Limits are held to at every write."""

    def __init__(
        self, store: ArtifactStore, name: str, key: str, file: BinaryIO, path: Path, room: int
    ) -> None:
        self._store, self._name, self._key = store, name, key
        self._file, self._path, self._room = file, path, room
        self._digest = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes | bytearray) -> None:
        """Add to it.

        Raises:
            ActionFailed: (data) it is larger than one may be; (resource) the folder or the disk is full.
        """
        self.bytes += len(data)
        if self.bytes > self._store.max_bytes:
            what = f"{self._name} is larger than max_bytes {self._store.max_bytes}; not kept"
            raise self._store.failure(Category.DATA, what)
        if self.bytes > self._room:
            what = f"the folder holds max_total {self._store.max_total} bytes; remove old artifacts"
            raise self._store.failure(Category.RESOURCE, what)
        self._digest.update(data)
        self._file.write(data)

    @property
    def sha256(self) -> str:
        """The digest of what was written so far."""
        return self._digest.hexdigest()

    def keep(self, facts: JsonObject | None = None) -> Kept:
        """Make it an artifact under its name, on the disk when this returns.

        Raises:
            ActionFailed: (data) another key has taken the name meanwhile.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        made = Kept(self._name, self.sha256, self.bytes, self._key, dict(facts or {}))
        return self._store.link(self._path, made)


class ArtifactStore:
    """Artifacts in one folder. Safe to share between threads and processes."""

    def __init__(
        self, connection: str, folder: Path, *, writable: bool, max_bytes: int, max_total: int
    ) -> None:
        self.connection = connection
        self.writable = writable
        self.max_bytes = max_bytes
        self.max_total = max_total
        self._folder = folder

    def find(self, name: str) -> Kept | None:
        """Return what is there under a name, or None.

        Raises:
            ActionFailed: the folder cannot be read.
        """
        path = self._path(name)
        try:
            size = path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._broken(error) from None
        note = self._note(name)
        if note is not None and note["bytes"] == size:
            return Kept(name, note["sha256"], size, note["key"], note["facts"])
        with self._classified():
            return Kept(name, _digest_of(path), size)  # somebody put it there by hand

    def of_key(self, name: str, key: str) -> Kept | None:
        """Return the artifact that `key` left under that name, or None."""
        found = self.find(name)
        return found if found is not None and found.key == key else None

    def hold_free(self, name: str) -> None:
        """See that nothing has the name.

        Raises:
            ActionFailed: (data) something has.
        """
        if self.find(name) is not None:
            what = f"{name} is there already; choose another name, or leave it out"
            raise self.failure(Category.DATA, what)

    @contextmanager
    def drafting(self, name: str, key: str) -> Iterator[Draft]:
        """Open a draft for `key`; what is not kept by the end is thrown away.

        Raises:
            ActionFailed: (permanent) this world is read-only; else by the system's error.
        """
        self._hold_writable()
        with self._classified():
            drafts = self._folder / ".drafts"
            drafts.mkdir(parents=True, exist_ok=True, mode=0o700)
            own = hashlib.sha256(key.encode()).hexdigest()[:32]
            _sweep(drafts, own)
            room = self.max_total - self._taken()
            descriptor, path = tempfile.mkstemp(dir=drafts, prefix=f"{own}.")  # mode 0600
            try:
                with os.fdopen(descriptor, "wb", buffering=_BLOCK) as file:
                    yield Draft(self, name, key, file, Path(path), room)
            finally:
                Path(path).unlink(missing_ok=True)

    def link(self, draft: Path, made: Kept) -> Kept:
        """Give a finished draft its name; see `Draft.keep`."""
        with self._classified(), self._locked():
            there = self.find(made.name)
            if there is not None:
                if there.key == made.key:
                    return there
                what = f"{made.name} was taken by others meanwhile; nothing was kept"
                raise self.failure(Category.DATA, what)
            path = self._path(made.name)
            self._annotate(made)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.link(draft, path)
            _sync(path.parent)
        return made

    @contextmanager
    def reading(self, reference: ArtifactRef) -> Iterator[BinaryIO]:
        """Open an artifact whose content is what the reference says.

        Raises:
            ActionFailed: (permanent) there is none; (data) it is another one by now.
        """
        path = self._path(reference.name)
        if not path.is_file():
            raise self.failure(Category.PERMANENT, f"there is no artifact {reference.name}")
        with self._classified(), path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != reference.sha256:
                what = f"{reference.name} is not what the reference names: its SHA-256 differs"
                raise self.failure(Category.DATA, what)
            file.seek(0)
            yield file

    def remove(self, kept: Kept) -> bool:
        """Remove an artifact and return whether it was there.

        Raises:
            ActionFailed: (data) others have put another content there since.
        """
        self._hold_writable()
        with self._classified(), self._locked():
            there = self.find(kept.name)
            if there is None:
                return False
            path = self._path(kept.name)
            if _digest_of(path) != kept.sha256 or there.key != kept.key:
                what = f"{kept.name}, sha256: others changed it since; not removed"
                raise self.failure(Category.DATA, what)
            path.unlink()
            _sync(path.parent)
            self._meta(kept.name).unlink(missing_ok=True)
        return True

    def facts(self) -> Mapping[str, str]:
        """Return what a check shows.

        Raises:
            ActionFailed: the folder cannot be made or written.
        """
        with self._classified():
            above = next(one for one in (self._folder, *self._folder.parents) if one.exists())
            if not os.access(above, os.W_OK | os.X_OK):
                what = f"this user may not write {above}"
                raise self.failure(Category.CONFIGURATION, what)
            return {"folder": str(self._folder), "bytes": str(self._taken())}

    def failure(self, category: Category, what: str) -> ActionFailed:
        message = f"artifacts connection {self.connection!r}: {what}"
        return ActionFailed(category, message, effect_possible=False)

    def _hold_writable(self) -> None:
        if not self.writable:
            what = "this world is read-only; nothing was written"
            raise self.failure(Category.PERMANENT, what)

    def _path(self, name: str) -> Path:
        if not re.fullmatch(NAME, name):
            what = (
                f"{name!r} is no name: write letters, digits, . _ - and /, no part starting with ."
            )
            raise self.failure(Category.PERMANENT, what)
        return self._folder / name

    def _meta(self, name: str) -> Path:
        return self._folder / ".meta" / f"{name}.json"

    def _note(self, name: str) -> JsonObject | None:
        try:
            found: JsonObject = json.loads(self._meta(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found

    def _annotate(self, made: Kept) -> None:
        path = self._meta(made.name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = {"key": made.key, "sha256": made.sha256, "bytes": made.bytes, "facts": made.facts}
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(known, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync(path.parent)

    def _taken(self) -> int:
        total = 0
        for folder, _, names in os.walk(self._folder):
            for name in names:
                with suppress(FileNotFoundError):  # removed while we look
                    total += (Path(folder) / name).stat().st_size
        return total

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _classified(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._broken(error) from None

    def _broken(self, error: OSError) -> ActionFailed:
        return self.failure(category_of(error), f"folder {self._folder}: {error.strerror or error}")


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sweep(drafts: Path, own: str) -> None:
    """Remove what a crash left: drafts of the same key, and old ones of any."""
    for path in drafts.iterdir():
        with suppress(FileNotFoundError):  # another process sweeps too
            if path.name.startswith(own) or time.time() - path.stat().st_mtime > _STALE:
                path.unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
