"""What was asked of the cluster (the request log), and faults that tests put in the way."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.domain.canonical import JsonObject
from worlds.cluster.messages import Request

KEPT = 50_000
SHOWN = 2_000  # characters of a body that the log shows


@dataclass(frozen=True)
class Entry:
    """One request as it was answered. `wrote` is true where it changed stored state."""

    n: int
    at: str
    user: str
    method: str
    path: str
    query: dict[str, str]
    content_type: str
    body_digest: str
    body: str
    status: int
    dry_run: bool
    wrote: bool


class RequestLog:
    """Keeps the latest requests, and writes each as a JSON line where a file is named."""

    def __init__(self, path: Path | None = None) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._path = path
        self._lock = threading.Lock()
        self._number = 0

    def add(self, request: Request, status: int, at: str, *, wrote: bool) -> None:
        with self._lock:
            self._number += 1
            text = request.body.decode(errors="replace")
            entry = Entry(
                n=self._number,
                at=at,
                user=request.user.name,
                method=request.method,
                path=request.path,
                query=dict(request.query),
                content_type=request.content_type,
                body_digest=hashlib.sha256(request.body).hexdigest() if request.body else "",
                body=text if "/secrets" not in request.path else "(not shown)",
                status=status,
                dry_run="dryRun" in request.query,
                wrote=wrote,
            )
            if len(entry.body) > SHOWN:
                entry = Entry(**{**asdict(entry), "body": entry.body[:SHOWN] + "…"})
            self._entries.append(entry)
            if self._path:
                # One write a line, at once: the log must survive the reader's and our own end.
                with self._path.open("a") as file:
                    file.write(json.dumps(asdict(entry)) + "\n")

    @property
    def entries(self) -> list[Entry]:
        with self._lock:
            return list(self._entries)

    @property
    def writes(self) -> list[Entry]:
        """The requests that changed stored state."""
        return [entry for entry in self.entries if entry.wrote]


@dataclass
class Fault:
    """Something that goes wrong with matching requests.

    Attributes:
        does: `delay` (seconds), `reset` (the connection breaks before the request is read further),
            `reset_after` (it takes effect, then the connection breaks), `status` (`code`, `reason`,
            `message`, `retry_after` seconds are answered instead).
        method, path: which requests; `path` is a regular expression, searched.
        skip: how many matching requests pass first. times: how many it then hits; None: all.
    """

    does: str
    method: str = ""
    path: str = ""
    skip: int = 0
    times: int | None = 1
    seconds: float = 0.0
    code: int = 500
    reason: str = "InternalError"
    message: str = "a fault was put here"
    retry_after: int | None = None
    hits: int = field(default=0)

    def matches(self, request: Request) -> bool:
        return (not self.method or self.method == request.method) and bool(
            re.search(self.path, request.path)
        )


class Faults:
    """The faults that are set, in order; the first that hits a request happens."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, request: Request) -> Fault | None:
        """Return the fault that hits this request, if any, and count it."""
        with self._lock:
            for fault in self._faults:
                if not fault.matches(request):
                    continue
                if fault.skip:
                    fault.skip -= 1
                elif fault.times is None or fault.hits < fault.times:
                    fault.hits += 1
                    return fault
        return None

    def as_json(self) -> list[JsonObject]:
        with self._lock:
            return [asdict(fault) for fault in self._faults]


def read_fault(value: Mapping[str, Any]) -> Fault:
    """Read a fault from JSON.

    Raises:
        ValueError: it does nothing known, or has an unknown name.
    """
    if value.get("does") not in ("delay", "reset", "reset_after", "status"):
        raise ValueError("a fault does one of: delay, reset, reset_after, status")
    try:
        return Fault(**value)
    except TypeError as error:
        raise ValueError(str(error)) from error
