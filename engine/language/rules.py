"""Rules and conditions as the engine uses them (LANGUAGE "Rules"); the loader makes them from YAML.

Durations are seconds. Templates (`inputs`, `concurrency.group`) stay as text.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from engine.language.matchers import Matcher
from engine.language.program import Comparison, Expression, Frozen, Query


class Count(Frozen):
    """Counts episodes within a window; a missing label groups as ""."""

    at_least: int
    within: float
    by: tuple[str, ...] = ()


class Throttle(Frozen):
    every: float
    by: tuple[str, ...] = ()


class Concurrency(Frozen):
    group: str  # a template
    when_busy: Literal["join", "queue", "skip"] = "join"


class Condition(Frozen):
    """Exactly one of the fields, or a list under any, all or none."""

    any: tuple[Condition, ...] | None = None
    all: tuple[Condition, ...] | None = None
    none: tuple[Condition, ...] | None = None
    labels: tuple[Matcher, ...] | None = None
    query: Query | None = None
    is_: Comparison | None = Field(default=None, alias="is")
    expr: Expression | None = None
    on_error: Literal["match", "skip"] = "skip"


class Schedule(Frozen):
    """`fields` are APScheduler's CronTrigger fields; a `cron` text is expanded into them."""

    fields: dict[str, str]
    timezone: str = "UTC"
    misfire: Literal["run_once", "skip"] = "run_once"


class QueryTrigger(Frozen):
    query: Query
    is_: Comparison = Field(alias="is")
    every: float
    for_: float = Field(default=0.0, alias="for")


class Priority(Frozen):
    """Asked in the order P0, P1, P2; the first that holds. None holds: the default."""

    cases: tuple[tuple[Literal["P0", "P1", "P2"], Expression | bool], ...] = ()
    default: int = 5


class Rule(Frozen):
    """Maps alerts, a schedule, a query or a person's call to a playbook."""

    name: str
    file: str = ""  # files are independent; within one, the first match wins unless `continue`
    source: str = ""  # file:line
    matchers: tuple[Matcher, ...] | None = None
    schedule: Schedule | None = None
    query: QueryTrigger | None = None
    manual: bool = False
    condition: Condition | None = None
    condition_name: str | None = None
    firing_for: float = 0.0
    count: Count | None = None
    run_per: tuple[str, ...] | None = None  # None: the alert's group labels
    throttle: Throttle | None = None
    cooldown: float = 0.0  # seconds after a run's end
    priority: Priority = Priority()
    mode: Literal["auto", "approve", "dry_run", "off"] = "approve"
    concurrency: Concurrency | None = None
    playbook: str
    inputs: dict[str, Any] = {}
    on_resolved: Literal["verify", "note", "cancel"] = "note"
    continue_: bool = False


Condition.model_rebuild()
