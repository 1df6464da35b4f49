"""What the doors for people need of the application; `engine/edges/wiring.py` builds something that has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from engine.contract.registry import Registry
from engine.domain.canonical import JsonObject
from engine.domain.clock import Clock
from engine.domain.people import Actor
from engine.domain.run import RunMode
from engine.edges.desk.directory import Directory
from engine.incidents.artifacts import ArtifactLimits
from engine.incidents.calling import Calling
from engine.incidents.postmortem.book import Book
from engine.journal.store import Store
from engine.language.program import Program
from engine.language.rules import Rule
from engine.planning.brakes import BrakeRules, Limit
from engine.planning.document import PlanDocument
from engine.running.services import Services
from engine.running.world import Connections


class Config(Protocol):
    """The configuration, as far as the doors read it."""

    @property
    def listen(self) -> str: ...

    @property
    def roles(self) -> Mapping[str, Any]:
        """The roles by name; `directory` says who has them."""
        ...

    @property
    def directory(self) -> Directory:
        """The people, their identities and their roles."""
        ...


class Project(Protocol):
    """The loaded rules and playbooks."""

    @property
    def rules(self) -> Sequence[Rule]: ...

    @property
    def playbooks(self) -> Mapping[str, Program]: ...

    @property
    def digest(self) -> str: ...


class Commands(Protocol):
    """What people may do. Each raises InvalidInput, NotFound, Refused or StoreUnavailable."""

    def start(
        self,
        playbook: str,
        inputs: Mapping[str, Any],
        *,
        requester: Actor,
        mode: RunMode,
        priority: int = 5,
        rule: str | None = None,
        alert: JsonObject | None = None,
        trigger: JsonObject | None = None,
        incident_id: str | None = None,
        group: str | None = None,
    ) -> str: ...

    def approve(
        self, target: str, actor: Actor, comment: str = "", fingerprint: str | None = None
    ) -> JsonObject: ...

    def reject(self, target: str, actor: Actor, comment: str = "") -> JsonObject: ...

    def withdraw(self, target: str, actor: Actor) -> JsonObject: ...

    def done(self, run_id: str, address: str, actor: Actor, note: str) -> JsonObject: ...

    def cancel(self, run_id: str, actor: Actor, reason: str) -> JsonObject: ...

    def retry(self, run_id: str, actor: Actor, reason: str) -> JsonObject: ...

    def undo(
        self, run_id: str, actor: Actor, steps: Sequence[str] = (), override: str = ""
    ) -> JsonObject: ...

    def recover(self, run_id: str, actor: Actor, step: str | None = None) -> JsonObject: ...

    def way_back(self, run_id: str, steps: Sequence[str] = ()) -> tuple[Program, JsonObject]: ...

    def hold(self, run: str, actor: Actor, reason: str) -> JsonObject: ...

    def release(self, run: str, actor: Actor, reason: str = "") -> JsonObject: ...

    def step(self, run: str, actor: Actor) -> JsonObject: ...

    def takeover(self, run: str, actor: Actor, reason: str) -> JsonObject: ...

    def handback(self, run: str, actor: Actor, note: str) -> JsonObject: ...

    def preempt(
        self, run: str, actor: Actor, reason: str, how: str = "hand_over"
    ) -> JsonObject: ...

    def choose(
        self,
        target: str,
        actor: Actor,
        *,
        only: Mapping[str, Sequence[str]] | None = None,
        without: Mapping[str, Sequence[str]] | None = None,
        reason: str = "",
        fingerprint: str | None = None,
    ) -> JsonObject: ...

    def break_glass(
        self, target: str, actor: Actor, reason: str, fingerprint: str | None = None
    ) -> JsonObject: ...

    def delegate(
        self, actor: Actor, role: str, to: str, seconds: float, reason: str = ""
    ) -> JsonObject: ...

    def revoke(self, actor: Actor, delegation: str, allowed: Callable[[], bool]) -> JsonObject: ...

    def rearm(self, actor: Actor, name: str, reason: str) -> JsonObject: ...

    def pause(self, actor: Actor, reason: str, *, let_undo: bool = False) -> JsonObject: ...

    def resume(self, actor: Actor, reason: str) -> JsonObject: ...


class Planner(Protocol):
    def preview(
        self,
        program: Program,
        inputs: Mapping[str, Any],
        *,
        mode: RunMode = RunMode.DRY_RUN,
        alert: JsonObject | None = None,
    ) -> PlanDocument:
        """Plan a run that does not exist: reads happen, nothing is written, nothing is stored."""
        ...


class Triage(Protocol):
    """The rules at work. `counts`: decisions since the start, by (verdict, reason)."""

    @property
    def counts(self) -> Mapping[tuple[str, str], int]: ...

    def act(self, alert_id: str, actor: Actor, rule: str | None = None) -> str:
        """Run the rule that takes a stored alert because a person says so; return the run's id."""
        ...


class Roster(Protocol):
    """Who is on call."""

    def view(self, at: datetime) -> JsonObject:
        """`{schedules, chains}` at a time; a schedule that cannot be asked says why."""
        ...


class Application(Protocol):
    """One built engine."""

    @property
    def config(self) -> Config: ...

    @property
    def registry(self) -> Registry: ...

    @property
    def project(self) -> Project: ...

    @property
    def store(self) -> Store: ...

    @property
    def commands(self) -> Commands: ...

    @property
    def planner(self) -> Planner: ...

    @property
    def world(self) -> Connections: ...

    @property
    def services(self) -> Services: ...

    @property
    def brake_rules(self) -> BrakeRules:
        """The configured brakes; asking needs no store."""
        ...

    def has_store(self) -> bool:
        """Whether the store is there already; asking makes none."""
        ...

    def budgets(self) -> Mapping[str, Limit]:
        """The configured blast-radius budgets, by unit; asking needs no store."""
        ...

    @property
    def triage(self) -> Triage: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def calling(self) -> Calling:
        """Pages people about incidents, by the configured chains."""
        ...

    @property
    def roster(self) -> Roster:
        """Who is on call."""
        ...

    @property
    def book(self) -> Book:
        """Makes postmortems."""
        ...

    def warmed(self) -> JsonObject | None:
        """What this process fetched ahead, and how often it helped; None: it does not warm up."""
        ...

    def hook_secret(self, name: str) -> str | None:
        """What the webhook of `pagerduty` or `opsgenie` proves itself with; None: not configured."""
        ...

    @property
    def artifact_limits(self) -> ArtifactLimits: ...
