"""The real engine over a toy system, on a clock that tests move: store, worker, commands, nothing patched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.contract.world import PERSONAL
from engine.domain.canonical import JsonObject
from engine.domain.clock import ManualClock
from engine.domain.entry import StoredEntry
from engine.domain.people import Actor
from engine.domain.run import ENDS, RunMode
from engine.journal.database import open_store
from engine.journal.keys import KeyRing, Keys
from engine.journal.rows import RunRow
from engine.journal.store import Store
from engine.language.program import Program
from engine.planning.brakes import Limit
from engine.planning.planner import Planner
from engine.running.commands import Commands
from engine.running.duplicates import Known
from engine.running.secrets import Secrets
from engine.running.services import ApprovalRule, Services
from engine.running.worker import Worker
from engine.running.world import Connection, Connections
from tests.databases import put_database
from tests.toys import Table, ToySettings, toy_registry

ALICE = Actor("alice", frozenset({"sre"}))
BOB = Actor("bob", frozenset({"sre"}))
CAROL = Actor("carol", frozenset({"viewer"}))


class Harness:
    """One engine. `settle` drives every ready run until nothing moves; `pass_time` moves the clock first."""

    def __init__(
        self,
        folder: Path,
        table: Table,
        *,
        url: str | None = None,
        clock: ManualClock | None = None,
        personal: bool = False,
    ) -> None:
        self.table = table
        self.clock = clock or ManualClock()
        self.store: Store = open_store(
            url or f"sqlite:///{put_database(folder / 'stanch.db')}",
            keys=Keys(KeyRing.generate(), KeyRing.generate()),
            clock=self.clock,
        )
        self.programs: dict[str, Program] = {}
        registry = toy_registry(table)
        data_class = PERSONAL if personal else "internal"
        self.settings = ToySettings()
        self.connections = Connections(
            registry,
            {"toy": Connection("toy", registry.kinds["toy"], self.settings, data_class)},
            Secrets(self._secret),
            self.clock,
            lambda _reference: "",
        )
        self.planner = Planner(
            registry, self.connections, self.clock.now, done=Known(lambda: self.store)
        )
        self.services = Services(
            self.store,
            self.clock,
            registry,
            self.connections,
            self.planner,
            approval=ApprovalRule("sre", 1, 3600.0),
        )
        self.commands = Commands(self.store, lambda: self.programs)
        self.worker = Worker(self.services, threads=2)
        self.secrets: dict[str, str] = {}

    def _secret(self, name: str) -> str:
        return self.secrets[name]

    def limit(self, unit: str, limit: int) -> None:
        self.services.budgets = {**self.services.budgets, unit: Limit(limit, 3600.0)}

    def start(
        self, plan: Program, mode: RunMode = RunMode.AUTO, requester: Actor = ALICE, **inputs: Any
    ) -> str:
        self.programs[plan.playbook] = plan
        return self.commands.start(plan.playbook, inputs, requester=requester, mode=mode)

    def settle(self, rounds: int = 200) -> None:
        for _ in range(rounds):
            if self.worker.step() == 0:
                return
        raise AssertionError("the runs do not come to rest")

    def pass_time(self, seconds: float, step: float = 10.0) -> None:
        """Let time pass in steps, driving what becomes due."""
        left = seconds
        while left > 0:
            self.clock.advance(min(step, left))
            left -= step
            self.settle()

    def run(self, plan: Program, mode: RunMode = RunMode.AUTO, **inputs: Any) -> RunRow:
        """Start and drive until it rests."""
        run_id = self.start(plan, mode, **inputs)
        self.settle()
        return self.row(run_id)

    def row(self, run_id: str) -> RunRow:
        row = self.store.read(lambda tx: tx.runs.get(run_id))
        assert row is not None
        return row

    def entries(self, run_id: str) -> list[StoredEntry]:
        return list(self.store.read(lambda tx: tx.journal.read(run_id)))

    def kinds(self, run_id: str) -> list[str]:
        return [entry.kind for entry in self.entries(run_id)]

    def outcome(self, run_id: str, address: str) -> JsonObject:
        """The last outcome of a step."""
        for entry in reversed(self.entries(run_id)):
            if entry.kind in {"step.outcome", "step.skipped"} and entry.body["address"] == address:
                return {"state": "skipped", **entry.body}
        raise AssertionError(f"{address} has no outcome in {self.kinds(run_id)}")

    def ended(self, run_id: str) -> bool:
        return self.row(run_id).state in ENDS
