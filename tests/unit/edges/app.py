"""The doors over the real engine on a toy system: real store, commands, triage and planner; only the wiring is here."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import uvicorn

from engine.domain.alert import Alert, AlertStatus, Delivery
from engine.domain.canonical import JsonObject
from engine.domain.clock import format_time
from engine.edges.desk.directory import Directory
from engine.edges.desk.people import add_token
from engine.edges.intake.endpoint import IntakeSettings, intake_route
from engine.edges.web.app import create_app
from engine.edges.web.metrics import Metrics
from engine.incidents.artifacts import ArtifactLimits
from engine.incidents.calling import Calling
from engine.incidents.chains import Chain, Contact, Policy, Rung
from engine.incidents.postmortem.book import Book
from engine.incidents.postmortem.writing import Printer
from engine.incidents.triage import Triage
from engine.language.matcherreading import parse_matcher
from engine.language.program import Program
from engine.language.rules import Rule
from engine.planning.brakes import BrakeRules
from engine.running.warming import Warmer
from tests.harness import Harness
from tests.harness_programs import program
from tests.toys import Table


@dataclass(frozen=True)
class Config:
    listen: str = "127.0.0.1:9780"
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    personal: frozenset[str] = frozenset()

    @property
    def directory(self) -> Directory:
        return Directory.of(self.roles)


@dataclass
class Project:
    rules: tuple[Rule, ...]
    playbooks: dict[str, Program]
    digest: str = "d"


RAISE = program(
    {"id": "now", "action": "toy.get", "with": {"name": "x"}},
    {"id": "up", "action": "toy.set", "with": {"name": "x", "value": "{{ inputs.to }}"}},
    playbook="toys/raise",
    summary="raise x",
    inputs={
        "type": "object",
        "required": ["to"],
        "properties": {"to": {"type": "integer"}, "why": {"type": "string"}},
    },
)
ASK = program(
    {"id": "call", "kind": "manual", "text": "ring the data team", "role": "sre"},
    playbook="toys/ask",
)
FAIL = program(
    {"id": "up", "action": "toy.set", "with": {"name": "stuck", "value": 2}}, playbook="toys/fail"
)
RULE = Rule(
    name="x-low",
    matchers=(parse_matcher('alertname="XLow"'),),
    playbook="toys/raise",
    inputs={"to": "{{ alert.labels.to | number }}"},
    run_per=("to",),
)


POLICY = Policy(
    chains={"default": Chain((Rung("primary", 900.0),), 1800.0)},
    contacts={"primary": Contact("primary", "Primary on-call", ({"webhook": "pager"},))},
)


class NobodysRoster:
    """A roster without schedules."""

    def view(self, at: datetime) -> JsonObject:
        return {"at": format_time(at), "schedules": [], "chains": [], "levels": {}}


class App:
    """One application. `engine.settle()` drives its runs by hand; `start_workers` drives them in threads."""

    def __init__(self, folder: Path, config: Config | None = None) -> None:
        self.table = Table(x=1, stuck=1)
        self.table.refuse.add("stuck")
        known = config or Config()
        self.engine = Harness(folder, self.table, personal="toy" in known.personal)
        for each in (RAISE, ASK, FAIL):
            self.engine.programs[each.playbook] = each
        self.config = known
        self.registry = self.engine.services.registry
        self.project = Project((RULE,), self.engine.programs)
        self.store = self.engine.store
        self.commands = self.engine.commands
        self.planner = self.engine.planner
        self.world = self.engine.connections
        self.services = self.engine.services
        self.has_store = lambda: True
        self.budgets = lambda: self.services.budgets
        self.clock = self.engine.clock
        self.triage = Triage(self.store, self.project.rules, self.commands.create_run)
        self.warmer: Warmer | None = None
        self.metrics = Metrics(self.store, self.triage, self.warmed)
        self.engine.services.observe = self.metrics.observe
        self.calling = Calling(POLICY)
        self.roster: Any = NobodysRoster()
        self.book = Book(self.store, Printer(), self.world.redact, masked=self.world.personal)
        self.hook_secrets: dict[str, str] = {}
        self.artifact_limits = ArtifactLimits(each=1000, total=2000)

    @property
    def brake_rules(self) -> BrakeRules:
        return self.engine.services.brakes

    @cached_property
    def web(self) -> Any:
        intake = intake_route(
            self.store, IntakeSettings(), self.metrics.delivered, self.metrics.answered
        )
        return create_app(self, intake, self.metrics)

    def warmed(self) -> JsonObject | None:
        return None if self.warmer is None else self.warmer.report()

    def hook_secret(self, name: str) -> str | None:
        return self.hook_secrets.get(name)

    def token(self, name: str, *roles: str) -> str:
        return add_token(self.store, name, roles, None)

    def start_workers(self, *, triage: bool = True) -> None:
        del triage
        self.engine.worker.start()

    def stop(self) -> None:
        self.engine.worker.stop()

    def settle(self) -> None:
        self.triage.drain()
        self.engine.settle()

    # ------------------------------------------------------------ shortcuts

    def gated_run(self, to: int = 5) -> tuple[str, str, str]:
        """Start a run by its rule up to its gate; return (run, gate, fingerprint)."""
        from tests.harness import BOB

        run = self.commands.start("toys/raise", {"to": to}, requester=BOB)
        self.settle()
        (gate,) = self.store.read(lambda tx: tx.gates.of_run(run))
        return run, gate.id, gate.fingerprint


def sample_alert(to: int) -> Delivery:
    """A delivery of the alert that the toy rule takes."""
    labels = {"alertname": "XLow", "to": str(to)}
    alert = Alert(
        fingerprint=f"x-{to}",
        status=AlertStatus.FIRING,
        labels=labels,
        annotations={"summary": "x is low"},
        starts_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return Delivery("stanch", "g", {}, "", (alert,))


@contextmanager
def served(app: App) -> Iterator[str]:
    """Serve an application on a loopback port of its own; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = uvicorn.Server(
            uvicorn.Config(app.web, lifespan="off", log_config=None, access_log=False)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(10)
