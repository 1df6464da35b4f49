"""What Prometheus scrapes: counters of this process, and gauges read from the store at each scrape.

Labels come from what the configuration names (playbooks, actions, states), never from alerts: cardinality
stays small whatever arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.domain.canonical import JsonObject
from engine.domain.entry import Entry
from engine.domain.errors import StanchError
from engine.edges.web.ports import Triage
from engine.journal.rows import Page, RunRow
from engine.journal.store import Store
from engine.language.program import Program
from engine.running.measuring import stage_of

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
_LONG = (0.1, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)


class Delivered(Protocol):
    """What the intake tells of one delivery, after its commit."""

    @property
    def alerts(self) -> int: ...
    @property
    def new(self) -> int: ...
    @property
    def unreadable(self) -> int: ...
    @property
    def truncated(self) -> int: ...
    @property
    def over_limit(self) -> int: ...
    @property
    def seconds(self) -> float: ...


class Metrics:
    """All metrics of one process, in a registry of its own."""

    def __init__(
        self,
        store: Store,
        triage: Triage | None = None,
        warmed: Callable[[], JsonObject | None] = lambda: None,
    ) -> None:
        self.registry = CollectorRegistry()
        add = self.registry
        self._alerts = Counter(
            "stanch_alerts", "Alerts by what became of them at the door", ["outcome"], registry=add
        )
        outcomes = ("accepted", "duplicate", "unreadable", "truncated", "over_limit")
        self._outcomes = [self._alerts.labels(outcome) for outcome in outcomes]
        self._answers = Counter(
            "stanch_intake_answers", "Deliveries by the status answered", ["code"], registry=add
        )
        self._commit = Histogram(
            "stanch_intake_commit_seconds",
            "From a delivery's arrival to its durable commit",
            buckets=_FAST,
            registry=add,
        )
        self._runs = Counter("stanch_runs", "Runs ended", ["playbook", "state"], registry=add)
        self._run_seconds = Histogram(
            "stanch_run_seconds",
            "From a run's creation to its end, waits included",
            ["playbook"],
            buckets=_LONG,
            registry=add,
        )
        self._steps = Counter("stanch_steps", "Steps ended", ["action", "outcome"], registry=add)
        self._retries = Counter(
            "stanch_retries", "Retries, by category", ["category"], registry=add
        )
        add.register(ProcessCollector(registry=None))  # CPU, memory and open files of the process
        add.register(_StoreGauges(store))
        if triage is not None:
            add.register(_Decisions(triage))
        add.register(_Warmth(warmed))

    def text(self) -> bytes:
        """Return the exposition; asks the store, so call it off the event loop."""
        return generate_latest(self.registry)

    # ------------------------------------------------------------ what others tell

    def delivered(self, delivery: Delivered) -> None:
        """Count one delivery of the intake."""
        counts = (
            delivery.new,
            delivery.alerts - delivery.new,
            delivery.unreadable,
            delivery.truncated,
            delivery.over_limit,
        )
        for counter, count in zip(self._outcomes, counts, strict=True):
            if count:
                counter.inc(count)
        self._commit.observe(delivery.seconds)

    def answered(self, status: int) -> None:
        self._answers.labels(str(status)).inc()

    def observe(
        self, program: Program, row: RunRow, entries: Sequence[Entry], at: datetime
    ) -> None:
        """Count what a commit of this process added to a run's chain, at the time `at`."""
        for entry in entries:
            kind, body = entry.kind, entry.body
            if kind == "step.outcome":
                self._steps.labels(stage_of(program, body["address"], ""), body["state"]).inc()
            elif kind == "step.skipped":
                self._steps.labels(stage_of(program, body["address"], ""), "skipped").inc()
            elif kind == "step.retry":
                self._retries.labels(body.get("category") or "").inc()
            elif kind == "run.ended":
                self._runs.labels(row.playbook, body["state"]).inc()
                seconds = max(0.0, (at - row.created_at).total_seconds())
                self._run_seconds.labels(row.playbook).observe(seconds)


class _Decisions(Collector):
    """What this process's rules decided, as triage counts it."""

    def __init__(self, triage: Triage) -> None:
        self._triage = triage

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "stanch_decisions", "Decisions of rules", labels=["verdict", "reason"]
        )
        for (verdict, reason), number in sorted(self._triage.counts.items()):
            family.add_metric([verdict, reason], number)
        yield family


class _Warmth(Collector):
    """What was fetched before runs needed it, and how often it was there when they did."""

    def __init__(self, warmed: Callable[[], JsonObject | None]) -> None:
        self._warmed = warmed

    def describe(self) -> Iterator[Metric]:
        yield from ()

    def collect(self) -> Iterator[Metric]:
        found = self._warmed()
        if found is None:
            return
        uses = CounterMetricFamily(
            "stanch_kept_uses",
            "Uses of what is kept for runs, and whether it was there already",
            labels=["what", "found"],
        )
        for what, counts in found["uses"].items():
            uses.add_metric([what, "yes"], counts["hits"])
            uses.add_metric([what, "no"], counts["misses"])
        yield uses
        fetched = GaugeMetricFamily(
            "stanch_warmup_fetched", "What warm-up fetched, by what it is", labels=["what"]
        )
        for what, number in found["fetched"].items():
            fetched.add_metric([what], number)
        yield fetched
        yield GaugeMetricFamily("stanch_warmup_seconds", "How long warm-up took", found["seconds"])
        yield GaugeMetricFamily(
            "stanch_warmup_failed", "What warm-up could not fetch", len(found["notes"])
        )
        grown = found["memory"]["grown"]
        if grown is not None:
            yield GaugeMetricFamily(
                "stanch_warmup_memory_bytes", "By how much the process grew meanwhile", grown
            )


class _StoreGauges(Collector):
    """What stands in the store now. A store that cannot be read shows as `stanch_store_up 0` alone."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterator[Metric]:
        """Name nothing at registration, so that registering does not ask the store."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        try:
            runs, gates, incidents, workers, brakes = self._store.read(
                lambda tx: (
                    tx.runs.counts(),
                    len(tx.gates.list()),
                    len(tx.incidents.list(Page(limit=10_000), open_only=True)),
                    len(tx.workers.alive()),
                    sum(brake.in_force(tx.now()) for brake in tx.brakes.list()),
                )
            )
        except StanchError:
            yield GaugeMetricFamily("stanch_store_up", "Whether the store can be read", 0)
            return
        yield GaugeMetricFamily("stanch_store_up", "Whether the store can be read", 1)
        by_state = GaugeMetricFamily("stanch_runs_now", "Runs by present state", labels=["state"])
        for state, number in runs.items():
            by_state.add_metric([state.value], number)
        yield by_state
        yield GaugeMetricFamily("stanch_gates_open", "Gates that wait for people", gates)
        yield GaugeMetricFamily("stanch_incidents_open", "Incidents that are not over", incidents)
        yield GaugeMetricFamily("stanch_workers_alive", "Workers with a lease", workers)
        yield GaugeMetricFamily("stanch_brakes_engaged", "Brakes that hold", brakes)
