"""The brakes as they are configured, and the pure questions asked of them (DESIGN 8). Every answer is a reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from engine.domain.clock import format_time
from engine.domain.plan import FreshChange
from engine.language.program import Program
from engine.language.rules import Schedule

_NO_LIMITS: Mapping[str, Mapping[str, Limit]] = {}


@dataclass(frozen=True)
class Limit:
    """A blast-radius budget over a sliding window."""

    limit: int
    within: float  # seconds


@dataclass(frozen=True)
class Breaker:
    """`failures` failed runs of one playbook within `within` seconds open its circuit breaker."""

    failures: int
    within: float


@dataclass(frozen=True)
class Window:
    """A maintenance window.

    Attributes:
        does: `hold` (nothing is changed) or `approve` (a person approves what would go by itself).
        schedule: when it begins, each time for `lasts` seconds; None: once, from `since` to `until`.
        playbooks: names or patterns such as `etl/*`; none: all.
        connections: those whose targets are meant; none: all.
    """

    name: str
    does: str
    schedule: Schedule | None = None
    lasts: float = 0.0
    since: datetime | None = None
    until: datetime | None = None
    playbooks: tuple[str, ...] = ()
    connections: tuple[str, ...] = ()
    reason: str = ""

    def ends(self, now: datetime) -> datetime | None:
        """Return when the window that is open now closes, or None where it is not open."""
        if self.schedule is None:
            assert self.since is not None
            assert self.until is not None
            return self.until if self.since <= now < self.until else None
        from engine.language.schedules import next_fire

        begun = next_fire(self.schedule, now - timedelta(seconds=self.lasts))
        if begun is None or begun > now:
            return None
        return begun + timedelta(seconds=self.lasts)

    def opens(self, now: datetime) -> datetime | None:
        """Return when it opens next, or None where it never does again."""
        if self.schedule is None:
            assert self.since is not None
            return self.since if self.since > now else None
        from engine.language.schedules import next_fire

        return next_fire(self.schedule, now)

    def concerns(self, playbook: str, connections: Collection[str] | None) -> bool:
        """Whether it is about a playbook, or about one of these connections (None: not asked)."""
        named = not self.playbooks or any(fnmatchcase(playbook, one) for one in self.playbooks)
        touched = (
            not self.connections
            or connections is None
            or bool(set(self.connections) & set(connections))
        )
        return named and touched


@dataclass(frozen=True)
class OpenWindow:
    """A window that is open now: which, and until when."""

    window: Window
    until: datetime

    @property
    def reason(self) -> str:
        why = f": {self.window.reason}" if self.window.reason else ""
        return f"maintenance window {self.window.name} until {format_time(self.until)}{why}"


@dataclass(frozen=True)
class Fresh:
    """Changes by others that are younger than `within` seconds hold an automatic run."""

    within: float
    ignore: frozenset[str] = frozenset()

    def found(
        self, changes: Collection[FreshChange], now: datetime, seen_until: datetime | None
    ) -> list[FreshChange]:
        """Return the changes that hold: young, by nobody who is ignored, and not seen by a person yet."""
        since = now - timedelta(seconds=self.within)
        return [
            change
            for change in changes
            if change.by not in self.ignore
            and change.at > since
            and (seen_until is None or change.at > seen_until)
        ]


@dataclass(frozen=True)
class BrakeRules:
    """All brakes of the configuration. What is not configured costs nothing.

    Attributes:
        breaker, cooldown, at_once: for every playbook that does not say its own; seconds, runs at a time.
        connections, playbooks: sliding budgets by name, then by unit. Playbooks may be patterns.
    """

    breaker: Breaker | None = None
    cooldown: float = 0.0
    at_once: int | None = None
    connections: Mapping[str, Mapping[str, Limit]] = field(default_factory=dict)
    playbooks: Mapping[str, Mapping[str, Limit]] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    fresh: Fresh | None = None

    def breaker_of(self, program: Program) -> Breaker | None:
        if program.breaker is not None:
            return Breaker(program.breaker.failures, program.breaker.within)
        return self.breaker

    def cooldown_of(self, program: Program) -> float:
        return self.cooldown if program.cooldown is None else program.cooldown

    def at_once_of(self, program: Program) -> int | None:
        return program.concurrency or self.at_once

    def limits_of(self, playbook: str, connection: str | None) -> Mapping[str, Mapping[str, Limit]]:
        """Return the sliding budgets of a playbook's change on a connection: by scope, then by unit."""
        if not self.connections and not self.playbooks:
            return _NO_LIMITS
        found: dict[str, Mapping[str, Limit]] = {}
        if connection is not None and connection in self.connections:
            found[f"connection:{connection}"] = self.connections[connection]
        for pattern, limits in self.playbooks.items():
            if fnmatchcase(playbook, pattern):
                found[f"playbook:{pattern}"] = limits
        return found

    def window(
        self, does: str, now: datetime, playbook: str, connections: Collection[str] | None
    ) -> OpenWindow | None:
        """Return the open window that holds, or that asks for approval."""
        for window in self.windows:
            if window.does == does and window.concerns(playbook, connections):
                until = window.ends(now)
                if until is not None:
                    return OpenWindow(window, until)
        return None
