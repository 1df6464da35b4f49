"""The engine of a rehearsal: the product's own wiring over rehearsed connections, a store and a clock of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import cast

from engine.contract.registry import Registry
from engine.contract.world import SecretRef
from engine.domain.canonical import JsonObject
from engine.domain.clock import ManualClock
from engine.domain.entry import Entry
from engine.edges.config import Config
from engine.edges.rehearsal.answers import AnsweredWorld, AnsweringRegistry
from engine.edges.rehearsal.chat import Transcript
from engine.edges.rehearsal.faults import Faults
from engine.edges.rehearsal.fragile import FragileStore, Writes
from engine.edges.rehearsal.worlds import Worlds, placeholder
from engine.edges.wiring import Application
from engine.journal.database import Database, open_store
from engine.journal.keys import Keys
from engine.journal.rows import Page, RunRow
from engine.journal.store import Tx
from engine.language.program import Program
from engine.language.project import Project
from engine.language.rules import Rule
from engine.planning.planner import Planner
from engine.running.commands import Commands
from engine.running.duplicates import Known
from engine.running.kept import Tally
from engine.running.services import Services
from engine.running.worker import Worker
from engine.running.world import Connection

_MEMORY = Path("/dev/shm")  # noqa: S108  a file there is memory: nothing waits for a disk


@dataclass(frozen=True)
class Ground:
    """What all rehearsals of one invocation share: read and checked once."""

    config: Config
    registry: Registry
    project: Project


@dataclass(frozen=True)
class Props:
    """What one performance plays with.

    Attributes:
        database: a migrated SQLite file of its own. done: filled with when steps were done.
        secrets: what stands for secret('name'). rule: whose file's rules decide.
        writes: where the engine dies, under chaos.
    """

    clock: ManualClock
    worlds: Worlds
    faults: Faults
    database: Path
    done: dict[str, datetime]
    secrets: Mapping[str, str]
    rule: str | None
    writes: Writes | None = None


class RehearsedApplication(Application):
    """The application, with what a rehearsal puts in the place of the outside."""

    def __init__(self, ground: Ground, props: Props) -> None:
        self.runs: dict[str, None] = {}  # ids in the order of their first claim
        self._props = props
        # No watchdog: nobody sends heartbeats here, and their absence is not what is rehearsed.
        intake = ground.config.intake.model_copy(update={"watchdog": None})
        config = ground.config.model_copy(update={"intake": intake})
        answered = {
            name: world
            for name, world in props.worlds.worlds.items()
            if isinstance(world, AnsweredWorld)
        }
        registry = AnsweringRegistry(ground.registry, answered) if answered else ground.registry
        self.transcript = Transcript(props.clock)
        super().__init__(config, registry, props.clock, {})
        self._project = replace(ground.project, rules=rules_for(ground.project, props.rule))

    def _observed(
        self, program: Program, row: RunRow, entries: Sequence[Entry], at: datetime
    ) -> None:
        """Remember the runs there are, and when steps were done: scripts of the worlds wait for that."""
        del program
        self.runs.setdefault(row.id)
        if self._props.writes is not None and entries:
            last = entries[-1]
            address = last.body.get("address")
            self._props.writes.label(f"{last.kind} of {address}" if address else last.kind)
        for entry in entries:
            self._note_done(entry.kind, entry.body, at)

    def _note_done(self, kind: str, body: JsonObject, at: datetime) -> None:
        if kind in ("step.outcome", "step.applied"):
            self._props.done.setdefault(str(body["address"]), at)

    def forget(self) -> None:
        """Lose what a process holds in memory, and find in the journal what a new one finds there."""
        for part in ("triage", "services", "commands", "planner"):
            self.__dict__.pop(part, None)

        def look(tx: Tx) -> None:
            for row in reversed(tx.runs.list(Page(limit=10_000))):
                self.runs.setdefault(row.id)
                for entry in tx.journal.read(row.id):
                    self._note_done(entry.kind, entry.body, entry.at)

        self.store.read(look)

    def hang_up(self) -> None:
        """Close every connection; how often one was there already is counted anew."""
        self.world.close()
        self.world.tally = Tally()

    def _connections_of(self, config: Config) -> dict[str, Connection]:
        del config
        return self._props.worlds.connections

    def reference(self, reference: SecretRef) -> str:
        return placeholder(reference)

    def _secret(self, name: str) -> str:
        return self._props.secrets.get(name, f"rehearsed-secret-{name}")

    @cached_property
    def store(self) -> Database:
        self._opened = True
        writes = self._props.writes
        url = f"sqlite:///{self._props.database}"
        if writes is None:
            return open_store(url, keys=_KEYS, clock=self.clock)
        opens = partial(open_store, url, keys=_KEYS, clock=self.clock, on_commit=writes.on_commit)
        return cast(Database, FragileStore(opens, self._props.database.parent, writes))

    @cached_property
    def planner(self) -> Planner:
        return Planner(
            self.registry,
            self.world,
            self.clock.now,
            self._props.faults.on_plan_read,
            Known(lambda: self.store),
        )

    @cached_property
    def commands(self) -> Commands:
        commands = super().commands
        commands.name_run = _numbered
        return commands

    @cached_property
    def services(self) -> Services:
        services = super().services
        services.on_moment = self._props.faults.on_moment
        services.observe = self._observed
        services.ports = lambda row: replace(self._ports(row), chat=self.transcript)
        return services


def _numbered(tx: Tx) -> str:
    """Name a run by its number: what its effects are called rests on that, and is the same each time."""
    return f"run-{sum(tx.runs.counts().values()) + 1:016}"


_KEYS = Keys.generate()


class Stage:
    """The engine of one performance: driven by hand, and able to die and start again over its journal."""

    def __init__(self, ground: Ground, props: Props) -> None:
        self.app = RehearsedApplication(ground, props)
        self._writes = props.writes
        self.worker = self._hired()

    @property
    def store(self) -> Database:
        return self.app.store

    def _hired(self) -> Worker:
        # One thread: what runs side by side comes in one order, the same each time.
        return Worker(self.app.services, threads=1, lease=_LEASE)

    def work(self) -> bool:
        """Decide and drive what is due; tell whether anything was.

        Raises:
            Crash: the engine died; `restart` it.
        """
        writes = self._writes
        if writes is not None:
            writes.armed = True
        try:
            decided = self.app.triage.drain()
            driven = self.worker.step()
        finally:
            if writes is not None:
                writes.armed = False
        return bool(decided or driven)

    def restart(self) -> None:
        """Start anew after a crash: what the dead owner held is taken over, as after its lease."""
        gone = self.worker.id
        self.store.write(lambda tx: tx.workers.leave(gone))
        self.app.forget()
        self.worker = self._hired()

    def start_anew(self) -> None:
        """Stop in good order and start anew: connections are opened again, after a warm-up."""
        self.worker.stop()
        self.app.hang_up()
        self.restart()
        self.app.warm_now(self.worker, _AtOnce())

    def stop(self) -> None:
        self.worker.stop()
        self.app.stop()


class _AtOnce(threading.Event):
    """Never set, and never waited for: on a rehearsal's clock nothing else wants the machine meanwhile."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        return self.is_set()


_LEASE = 3650 * 86400.0  # seconds; the clock jumps, and nobody dies of that


def rules_for(project: Project, name: str | None) -> tuple[Rule, ...]:
    """Return the rules that may decide: those of the named rule's file, with no trigger but its own.

    Files are independent of one another, and a schedule that happens to fall into the rehearsal's hours
    is not what is rehearsed.
    """
    chosen = next((rule for rule in project.rules if rule.name == name), None)
    if chosen is None:
        return ()
    return tuple(
        rule
        for rule in project.rules
        if rule is chosen or (rule.file == chosen.file and rule.matchers is not None)
    )


# ---- files of a rehearsal -------------------------------------------------------------------------

_template: Path | None = None


def scratch() -> Path:
    """Make an empty folder, in memory where the system has such a place; it goes with `clean_up` at the latest."""
    prefix = f"stanch-rehearsal-{os.getpid()}-"
    if _template is not None:
        return Path(tempfile.mkdtemp(prefix=prefix, dir=_template.parent))
    try:
        return Path(tempfile.mkdtemp(prefix=prefix, dir=_MEMORY if _MEMORY.is_dir() else None))
    except OSError:
        return Path(tempfile.mkdtemp(prefix=prefix))


def prepare() -> None:
    """Make the migrated database that every rehearsal starts from: migrating costs more than rehearsing."""
    global _template  # noqa: PLW0603  made once a process, and inherited by its children
    if _template is None:
        home = scratch()
        try:
            open_store(f"sqlite:///{home / 'template.db'}", keys=_KEYS).close()
        except BaseException:  # Ctrl-C among them
            shutil.rmtree(home, ignore_errors=True)
            raise
        _template = home / "template.db"


def fresh_database(folder: Path) -> Path:
    """Return a new migrated database in `folder`."""
    prepare()
    assert _template is not None
    path = folder / "stanch.db"
    shutil.copy(_template, path)
    return path


def clean_up() -> None:
    """Remove what `prepare` made, and what performances left there that were killed."""
    global _template  # noqa: PLW0603
    if _template is not None:
        shutil.rmtree(_template.parent, ignore_errors=True)
        _template = None
