"""Warm-up: what runs will need is fetched before they need it, in the background, the most used first.

Only what cannot lie is fetched: opened connections, what a system says of its own kinds, playbooks with their
templates compiled. What an action reads is never kept: a plan asks the world as it is then.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import format_time
from engine.domain.errors import StanchError
from engine.language.program import Program
from engine.language.scope import TemplateError
from engine.language.templates import compile_ahead
from engine.running.access import Access, Pattern, past
from engine.running.kept import CONNECTION, DISCOVERY, PLAYBOOK
from engine.running.programs import Programs
from engine.running.resources import resident
from engine.running.services import Services
from engine.running.yielding import GiveWay, go_on

log = logging.getLogger("stanch.warming")

SOON = 1.0  # seconds after the process is ready; the first alerts find it free
PAUSE = 0.02  # seconds between two things, so that runs come first
_CONDITIONS = frozenset({"when", "until"})


@dataclass(frozen=True)
class Budget:
    """What warm-up may take: seconds, and bytes by which the process may grow."""

    seconds: float = 30.0
    memory: int = 64 * 2**20


@dataclass
class _Report:
    state: str = "off"  # off, waiting, warming, done, cut short
    began: datetime | None = None
    seconds: float = 0.0
    before: int | None = None
    after: int | None = None
    fetched: dict[str, int] = field(
        default_factory=lambda: {CONNECTION: 0, DISCOVERY: 0, PLAYBOOK: 0, "template": 0}
    )
    left_out: int = 0
    items: list[JsonObject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Warmer:
    """Warms one process up, once."""

    def __init__(
        self,
        services: Services,
        programs: Programs,
        playbooks: Callable[[], Mapping[str, Program]],
        budget: Budget | None = None,
        give_way: GiveWay = go_on,
    ) -> None:
        self._services = services
        self._programs = programs
        self._playbooks = playbooks
        self._budget = budget or Budget()
        self._give_way = give_way
        self._report = _Report()

    def serve(self, stop: threading.Event) -> None:
        """Wait until the start has settled, then warm up. Nothing that goes wrong here leaves this thread."""
        self._report.state = "waiting"
        if stop.wait(SOON):
            return
        try:
            self.warm(stop)
        except Exception:  # it is a help, never a reason to fail
            log.exception("warm-up ended early; runs fetch by themselves what they need")
            self._report.state = "cut short"

    def warm(self, stop: threading.Event) -> None:
        """Fetch what runs of the last days used, as far as the budget goes.

        Raises:
            StoreUnavailable: what runs used cannot be read.
        """
        services, report = self._services, self._report
        playbooks = self._playbooks()
        world = services.connections
        found = services.store.read(lambda tx: past(tx, playbooks, services.registry, world.names))
        report.state, report.began = "warming", services.clock.now()
        report.before = report.after = resident()
        start = services.clock.monotonic()
        things = self._things(found, playbooks)
        for n, (what, name, uses, fetch) in enumerate(things):
            self._give_way(stop)
            report.seconds = services.clock.monotonic() - start
            if stop.is_set() or self._spent():
                report.left_out = len(things) - n
                report.state = "cut short"
                break
            self._fetch(what, name, uses, fetch)
            report.after = resident()
            stop.wait(PAUSE)
        else:
            report.state = "done"
        report.seconds = services.clock.monotonic() - start
        log.info("warm-up %s: %s", report.state, report.fetched)

    def _things(
        self, found: Pattern, playbooks: Mapping[str, Program]
    ) -> list[tuple[str, str, int, Callable[[], None]]]:
        things = [
            (CONNECTION, f"{one.connection} ({'writing' if one.writable else 'reading'})", one.uses,
             partial(self._connection, one))
            for one in found.connections
        ]  # fmt: skip
        things += [
            (PLAYBOOK, name, uses, partial(self._playbook, playbooks[name]))
            for name, uses in found.playbooks
        ]
        return sorted(
            things, key=lambda thing: -thing[2]
        )  # stable: a connection before its playbook

    def _spent(self) -> bool:
        report, budget = self._report, self._budget
        return report.seconds > budget.seconds or _grown(report) > budget.memory

    def _fetch(self, what: str, name: str, uses: int, fetch: Callable[[], None]) -> None:
        try:
            fetch()
        except Exception as error:  # noqa: BLE001  a broken system is its runs' business
            reason = error if isinstance(error, StanchError) else f"{type(error).__name__}: {error}"
            note = str(self._services.connections.redact(f"{what} {name}: {reason}"))
            self._report.notes.append(note)
            log.info("not warmed: %s", note)
        else:
            self._report.items.append({"what": what, "name": name, "uses": uses})

    def _connection(self, access: Access) -> None:
        world = self._services.connections
        documents = world.warm(access.connection, access.params, writable=access.writable)
        self._report.fetched[CONNECTION] += 1
        self._report.fetched[DISCOVERY] += documents

    def _playbook(self, program: Program) -> None:
        kept = self._programs.ahead(program)
        self._report.fetched[PLAYBOOK] += 1
        compiled = _compile(kept.model_dump(mode="json", by_alias=True))
        self._report.fetched["template"] += compiled

    def report(self) -> JsonObject:
        """Return what was fetched, what it took, and how often it was there when a run needed it.

        Returns:
            `state`; `began`; `seconds`; `fetched` and `uses` (`hits, misses, rate`; the rate is None before
            the first use) by what it is; `memory` (`before, after, grown`, bytes of the whole process while
            it went on; None where the system does not say); `items` in order; `left_out` by the budget;
            `notes` on what could not be fetched.
        """
        report = self._report
        return {
            "state": report.state,
            "began": None if report.began is None else format_time(report.began),
            "seconds": round(report.seconds, 3),
            "fetched": dict(report.fetched),
            "uses": uses(self._services.connections.tally.counts()),
            "memory": {
                "before": report.before,
                "after": report.after,
                "grown": None if report.before is None else _grown(report),
            },
            "items": list(report.items),
            "left_out": report.left_out,
            "notes": list(report.notes),
        }


def uses(counts: Mapping[str, tuple[int, int]]) -> JsonObject:
    """Return hits, misses and their rate by what was used."""
    return {
        what: {
            "hits": hits,
            "misses": misses,
            "rate": round(hits / (hits + misses), 4) if hits + misses else None,
        }
        for what, (hits, misses) in counts.items()
    }


def _grown(report: _Report) -> int:
    return max(0, (report.after or 0) - (report.before or 0))


def _compile(value: Json, name: str = "") -> int:
    """Compile every template of a frozen program; what cannot be is told when a run meets it."""
    if isinstance(value, dict):
        return sum(_compile(item, str(key)) for key, item in value.items())
    if isinstance(value, list):
        return sum(_compile(item) for item in value)
    try:
        return compile_ahead(value, condition=name in _CONDITIONS)
    except TemplateError:
        return 0
