"""Which workers' processes live, on one machine: locked files beside the database."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from pathlib import Path


class Presence:
    """Locked files beside the database, one a worker: the system frees the lock when the process dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: dict[str, int] = {}
        self._pid = os.getpid()

    def _file(self, worker: str) -> Path:
        name = hashlib.sha256(worker.encode()).hexdigest()[:24]
        return self._path.with_name(f"{self._path.name}-worker-{name}")

    def enter(self, worker: str) -> bool:
        if self._pid != os.getpid():
            self._held, self._pid = {}, os.getpid()
        if worker in self._held:
            return True
        try:
            descriptor = os.open(self._file(worker), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return False  # no such file can be made here: the lease alone decides
        if not _locked(descriptor):
            os.close(descriptor)
            return False
        self._held[worker] = descriptor
        return True

    def left(self, worker: str) -> None:
        descriptor = self._held.pop(worker, None)
        if descriptor is not None:
            self._file(worker).unlink(missing_ok=True)
            os.close(descriptor)

    def gone(self, worker: str) -> bool:
        if worker in self._held and self._pid == os.getpid():
            return False
        path = self._file(worker)
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        try:
            if not _locked(descriptor):
                return False
            path.unlink(missing_ok=True)
            return True
        finally:
            os.close(descriptor)

    def close(self) -> None:
        if self._pid == os.getpid():
            for worker in list(self._held):
                os.close(self._held.pop(worker))


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    return True
