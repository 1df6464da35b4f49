"""What containers wrote, by pod and container, this run and the one before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from worlds.cluster.times import fine_stamp

KEPT_LINES = 10_000  # per container run


@dataclass(frozen=True)
class Line:
    at: datetime
    text: str


@dataclass
class ContainerLog:
    """The lines of the current run of a container and of its previous one (None: there was none)."""

    current: deque[Line] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    previous: deque[Line] | None = None


class Logs:
    """The logs of all pods, by the pod's uid and the container's name."""

    def __init__(self) -> None:
        self._logs: dict[tuple[str, str], ContainerLog] = {}

    def of(self, uid: str, container: str) -> ContainerLog:
        return self._logs.setdefault((uid, container), ContainerLog())

    def write(self, uid: str, container: str, at: datetime, text: str) -> None:
        """Append text, line by line."""
        log = self.of(uid, container)
        log.current.extend(Line(at, line) for line in text.splitlines())

    def turn(self, uid: str, container: str) -> None:
        """A new run begins: what was current is now previous."""
        log = self.of(uid, container)
        log.previous, log.current = log.current, deque(maxlen=KEPT_LINES)

    def forget(self, uid: str) -> None:
        for key in [key for key in self._logs if key[0] == uid]:
            del self._logs[key]


def render(
    lines: Iterable[Line],
    *,
    since: datetime | None = None,
    tail: int | None = None,
    limit: int | None = None,
    timestamps: bool = False,
) -> bytes:
    """Return log text as the log subresource answers it; `limit` is in bytes."""
    chosen = [line for line in lines if since is None or line.at >= since]
    if tail is not None:
        chosen = chosen[max(0, len(chosen) - tail) :]
    text = "".join(
        (f"{fine_stamp(line.at)} " if timestamps else "") + line.text + "\n" for line in chosen
    )
    encoded = text.encode()
    return encoded if limit is None else encoded[:limit]
