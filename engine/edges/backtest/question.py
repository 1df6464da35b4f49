"""One backtest from beginning to end: rules, the past, a replay, findings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.contract.registry import Registry
from engine.domain.canonical import JsonObject
from engine.domain.errors import InvalidInput, StoreUnavailable
from engine.domain.plan import Effect
from engine.edges.backtest.prometheus import PrometheusPast
from engine.edges.backtest.stored import read_stored, usual_time
from engine.edges.backtest.webhooks import read_webhooks
from engine.edges.config import Config
from engine.incidents.backtest.findings import (
    BudgetWindow,
    changes_something,
    difference,
    findings,
)
from engine.incidents.backtest.past import Came, Recorded, came
from engine.incidents.backtest.replay import Played, Replay, start_of
from engine.incidents.backtest.windows import windows_met
from engine.incidents.triage import TriageSettings
from engine.journal.scratch import scratch_store
from engine.language.project import Project, load_project
from engine.running.world import Connection, Connections

ASSUMED = 600.0  # seconds that a run is taken to last where nothing else is known
NAMED = "backtest"  # the connection that --prometheus URL stands for


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        rules: files or folders; empty: the configuration's.
        against: the present rules, to compare with; empty: none.
        prometheus: a URL or the name of a connection. webhooks: a file. store: the configured store.
        alerts: Prometheus rule files whose expressions say what fired, instead of `ALERTS`.
        since: seconds back from now; None: 30 days, or all of a file.
        lasts: seconds of a run; None: the median of past runs, else ten minutes.
    """

    rules: Sequence[Path] = ()
    against: Sequence[Path] = ()
    prometheus: str | None = None
    webhooks: Path | None = None
    store: bool = False
    alerts: Sequence[Path] = ()
    since: float | None = None
    step: float = 60.0
    group_by: Sequence[str] = ("alertname",)
    lasts: float | None = None


@dataclass
class Ground:
    """What the answer stands on."""

    events: Sequence[Came]
    since: datetime
    until: datetime
    metrics: PrometheusPast | None = None
    notes: list[str] = field(default_factory=list)


class Backtest:
    """Answers questions about one application's rules; `app` is what wiring builds."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._config: Config = app.config
        self._durations: dict[str, tuple[float, str]] = {}

    def answer(self, question: Question) -> JsonObject:
        """Return the findings, with `against` where two rule sets are compared.

        Raises:
            InvalidInput: the question names no past, or one that cannot be read.
            InvalidProject: the rules have mistakes. ActionFailed: Prometheus cannot be asked.
        """
        began = time.process_time()
        ground = self._ground(question)
        rules = self._project(question.rules)
        played = self._play(question, ground, rules)
        found = self._findings(played, rules)
        found["windows"] = windows_met(played.runs, self._app.brake_rules.windows)
        if question.against:
            other = self._project(question.against)
            before = self._play(question, ground, other)
            found["against"] = {
                **difference(played, before),
                "rules": self._findings(before, other)["rules"],
            }
        found["assumed"] = self._assumed(question, ground, played, rules)
        found["seconds"] = round(time.process_time() - began, 3)
        return found

    # ------------------------------------------------------------ the rules

    def _project(self, paths: Sequence[Path]) -> Project:
        if not paths:
            project: Project = self._app.project
            return project
        for path in paths:
            if not path.exists():
                raise InvalidInput(f"{path}: there is no such file or folder of rules")
        config = self._config
        others = [path for path in config.rules if path.name == "conditions.yaml" or path.is_dir()]
        conditions = [
            file
            for path in others
            for file in ([path] if path.is_file() else sorted(path.rglob("conditions.yaml")))
            if file not in paths and not any(one.is_dir() and one in file.parents for one in paths)
        ]
        return load_project(
            [*paths, *conditions],
            config.playbooks,
            self._app.registry,
            self._app.world.names,
            config.roles or None,
            config.secrets,
        )

    # ------------------------------------------------------------ the past

    def _ground(self, question: Question) -> Ground:
        sources = [bool(question.prometheus), question.webhooks is not None, question.store]
        if question.prometheus and sum(sources) == 2:
            sources[0] = False  # alerts of a file or the store, metrics of Prometheus
        if sum(sources) != 1:
            raise InvalidInput(
                "say where the past is: --prometheus URL or connection, --webhooks FILE or --store"
            )
        now: datetime = self._app.clock.now()
        if question.webhooks is not None:
            ground = self._from_file(question, question.webhooks, now)
        elif question.store:
            since = _back(now, question.since or 30 * 86_400.0)
            ground = Ground(read_stored(self._app.store, since), since, now)
        else:
            ground = Ground((), _back(now, question.since or 30 * 86_400.0), now)
        if question.prometheus:
            self._ask_prometheus(question, ground)
        if not ground.events and not question.prometheus:
            ground.notes.append("there is no alert in this past")
        return ground

    def _from_file(self, question: Question, path: Path, now: datetime) -> Ground:
        events, troubles = read_webhooks(path, self._config.intake.drop_labels)
        notes = [f"not read: {text}" for text in troubles]
        until = events[-1].at
        if question.since is not None:
            events = [one for one in events if one.at >= _back(now, question.since)]
        since = events[0].at if events else until
        return Ground(events, since, until, None, notes)

    def _ask_prometheus(self, question: Question, ground: Ground) -> None:
        named = question.prometheus or ""
        address = "://" in named
        world = self._world_with(named) if address else self._app.world
        past = PrometheusPast(
            _asking(world, self._app.registry),
            ground.since,
            ground.until.replace(microsecond=0),
            question.step,
            NAMED if address else named,
            only=address,
        )
        ground.metrics = past
        if question.webhooks is None and not question.store:
            stretches = past.would_fire(question.alerts) if question.alerts else past.fired()
            ground.events = came(stretches, question.group_by)
            if not question.alerts:
                ground.notes.append(
                    "ALERTS keeps no annotations; conditions that read them see none"
                )
            ground.notes.append(
                f"alerts are grouped by {', '.join(question.group_by) or 'nothing'}"
            )

    def _world_with(self, url: str) -> Connections:
        """Connections with one more, for an address that the configuration does not name."""
        kinds = self._app.registry.kinds
        if "prometheus" not in kinds:
            raise InvalidInput("no plugin for prometheus is installed, so no URL can be asked")
        try:
            settings = kinds["prometheus"].Settings.model_validate({"url": url})
        except ValueError as error:
            raise InvalidInput(f"--prometheus {url}: {error}") from None
        connection = Connection(NAMED, kinds["prometheus"], settings)
        return Connections(
            self._app.registry,
            {NAMED: connection},
            self._app.secrets,
            self._app.clock,
            self._app.reference,
        )

    # ------------------------------------------------------------ the replay

    def _play(self, question: Question, ground: Ground, project: Project) -> Played:
        intake = self._config.intake
        clock = start_of(ground.since)
        settings = TriageSettings("backtest", intake.max_alert_age, None)
        recorded = Recorded(ground.metrics, clock)
        with scratch_store(clock) as store:
            replay = Replay(
                store,
                clock,
                project.rules,
                project.playbooks,
                recorded=recorded,
                duration=self._lasting(question),
                settings=settings,
                brakes=self._app.brake_rules,
            )
            return replay.play(ground.events, ground.since, ground.until)

    def _lasting(self, question: Question) -> Callable[[str], float]:
        usual: Callable[[str], float | None] | None = None

        def seconds(playbook: str) -> float:
            nonlocal usual
            if playbook in self._durations:
                return self._durations[playbook][0]
            if question.lasts is not None:
                known = (question.lasts, "as you said")
            else:
                usual = usual or self._past_runs()
                median = usual(playbook)
                known = (
                    (ASSUMED, "assumed: there is no past run of it")
                    if median is None
                    else (median, "the median of its past runs")
                )
            self._durations[playbook] = known
            return known[0]

        return seconds

    def _past_runs(self) -> Callable[[str], float | None]:
        """Asks the store where there is one already; a backtest never makes one."""
        if not self._app.has_store():
            return lambda _playbook: None
        try:
            return usual_time(self._app.store)
        except StoreUnavailable:
            return lambda _playbook: None

    # ------------------------------------------------------------ what it shows

    def _findings(self, played: Played, project: Project) -> JsonObject:
        registry: Registry = self._app.registry
        change = [
            name for name, action in registry.actions.items() if action.effect is Effect.CHANGE
        ]
        budgets = {
            unit: BudgetWindow(item.limit, item.within)
            for unit, item in self._config.budgets.items()
        }
        return findings(
            played,
            [rule.name for rule in project.rules],
            project.playbooks,
            plan_approvals=self._config.approval.approvals,
            budgets=budgets,
            changing=[
                name
                for name, program in project.playbooks.items()
                if changes_something(program, change)
            ],
        )

    def _assumed(
        self, question: Question, ground: Ground, played: Played, project: Project
    ) -> JsonObject:
        used = sorted({run.playbook for run in played.runs})
        modes = {rule.name: rule.mode for rule in project.rules}
        return {
            "runs_succeed": "every run is taken to succeed; none trips a breaker or asks for a person twice",
            "durations": {
                name: {"seconds": self._durations[name][0], "why": self._durations[name][1]}
                for name in used
                if name in self._durations
            },
            "brakes": "the kill switch and breakers are taken as released; cooldowns hold; "
            "windows are counted and delay no run here",
            "step": question.step if question.prometheus else None,
            "off": sorted(name for name, mode in modes.items() if mode == "off"),
            "notes": ground.notes,
        }


def _back(now: datetime, seconds: float) -> datetime:
    from datetime import timedelta

    return (now - timedelta(seconds=seconds)).replace(microsecond=0)


def _asking(world: Connections, registry: Registry) -> Any:
    """Ask a range as `query:` asks a value: by the action `KIND.range` of the connection's kind."""

    def ask(
        connection: str,
        query: str,
        params: Mapping[str, Any],
        since: float,
        until: str,
        step: float,
    ) -> JsonObject:
        kind = world.get(connection).kind.kind
        action: Any = registry.action(f"{kind}.range")
        given = {
            "connection": connection,
            "query": query,
            "params": dict(params),
            "since": max(since, step),
            "until": until,
            "step": step,
            "max_series": 10_000,
        }
        answer: JsonObject = action.read(
            action.Params.model_validate(given), world.world(writable=False)
        )
        return answer

    return ask
