"""Playbooks, rules and conditions as they stand in YAML."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from engine.language.forms import Form
from engine.language.listfields import Labels, Matchers
from engine.language.namefields import PlaybookName, RuleName, Word
from engine.language.stepforms import QueryForm, Steps
from engine.language.valuefields import (
    ComparisonText,
    ExpressionText,
    PositiveDuration,
    PositiveSeconds,
    Seconds,
)


class PostmortemForm(Form):
    """What the postmortem of its incidents must keep."""

    due: Seconds = Field(
        description="When it is due after the incident is resolved", examples=["72h"]
    )


class BreakerForm(Form):
    """So many failed runs in a while, and people approve until one of them re-arms it."""

    failures: int = Field(ge=1, description="How many failed runs open it", examples=[3])
    within: PositiveSeconds = Field(description="The window", examples=["1h"])


class PlaybookFile(Form):
    """A playbook: ordered steps that repair something."""

    playbook: PlaybookName = Field(
        description="Its name; the file's path ends with it", examples=["etl/failure-spike"]
    )
    summary: str = Field("", description="One line for people")
    author: str = Field("", description="Who wrote it; they cannot approve its runs")
    inputs: Annotated[
        Any, WithJsonSchema({"$ref": "https://json-schema.org/draft/2020-12/schema"})
    ] = Field({"type": "object"}, description="The JSON Schema of its inputs")
    defaults: dict[str, dict[str, Any]] = Field(
        {}, description="Parameters that all actions of a system share, by system"
    )
    vars: dict[str, Any] = Field({}, description="Values that templates name as vars.NAME")
    timeout: PositiveDuration | None = Field(None, description="The longest that a run may take")
    budget: Annotated[
        dict[str, int],
        WithJsonSchema(
            {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}}
        ),
    ] = Field(
        {}, description="The most that a run may touch, by unit: pods, rows, objects, requests"
    )
    breaker: BreakerForm | None = Field(None, description="When its circuit breaker opens")
    cooldown: Seconds | None = Field(
        None, description="How long after a run's end no rule starts it again", examples=["15m"]
    )
    concurrency: Annotated[int, Field(ge=1)] | None = Field(
        None, description="How many of its runs may be at work at a time"
    )
    steps: Steps = Field(description="What it does, in order", min_length=1)
    rescue: Steps = Field([], description="What follows a failure, once undo is done")
    finally_: Steps = Field([], alias="finally", description="What always runs at the end")
    outputs: dict[str, Any] = Field({}, description="What a calling step gets, templates by name")
    postmortem: PostmortemForm | None = Field(None, description="When the postmortem is due")


class CountForm(Form):
    """How often, within which window."""

    at_least: int = Field(ge=1, description="How many episodes", examples=[3])
    within: PositiveSeconds = Field(description="The window", examples=["10m"])
    by: Labels = Field((), description="Counted apart for each value of these labels")


class ThrottleForm(Form):
    """At most one run in a while."""

    every: PositiveSeconds = Field(description="At most one run in this time", examples=["30m"])
    by: Labels = Field((), description="Throttled apart for each value of these labels")


class ConcurrencyForm(Form):
    """What runs of one group do about one another."""

    group: str = Field(
        description="A template; runs with the same text are one group",
        examples=["{{ alert.labels.namespace }}/etl"],
        min_length=1,
    )
    when_busy: Literal["join", "queue", "skip"] = Field(
        "join", description="What a new alert does while one runs"
    )


_Case = Annotated[
    Any,
    WithJsonSchema({"type": ["string", "boolean"], "description": "an expression, or true"}),
]


class PriorityForm(Form):
    """Asked in the order P0, P1, P2; the first that holds."""

    P0: _Case = Field(None, description="Before everything else")
    P1: _Case = Field(None, description="Soon")
    P2: _Case = Field(None, description="As usual")


class RuleQueryForm(Form):
    """A query that starts a run."""

    connection: str = Field(description="A connection", examples=["metrics"])
    query: str = Field(description="The query", examples=["max(up)"], min_length=1)
    params: dict[str, Any] = Field({}, description="The values of the query's $names")
    is_: ComparisonText = Field(alias="is", description="What starts it", examples=['"> 0.01"'])
    every: PositiveSeconds = Field(description="How often it is asked", examples=["1m"])
    for_: Seconds = Field(0.0, alias="for", description="How long it must hold before it starts")


_Condition = {"x-ref": "#/$defs/ConditionForm"}


class ConditionForm(Form):
    """One test, or several under any, all or none."""

    any: Annotated[list[Any], WithJsonSchema({"type": "array", "items": _Condition})] | None = (
        Field(None, description="At least one of these holds", min_length=1)
    )
    all: Annotated[list[Any], WithJsonSchema({"type": "array", "items": _Condition})] | None = (
        Field(None, description="All of these hold", min_length=1)
    )
    none: Annotated[list[Any], WithJsonSchema({"type": "array", "items": _Condition})] | None = (
        Field(None, description="None of these holds", min_length=1)
    )
    labels: Matchers | None = Field(None, description="Matchers that the alert's labels satisfy")
    query: QueryForm | None = Field(None, description="A query; goes with `is`")
    is_: ComparisonText | None = Field(None, alias="is", description="What the query must be")
    expr: ExpressionText | None = Field(None, description="An expression over trigger and alert")
    on_error: Literal["match", "skip"] = Field(
        "skip", description="What counts when it cannot be asked"
    )


class RuleForm(Form):
    """Maps alerts, a schedule, a query or a person's call to a playbook."""

    name: RuleName = Field(description="Unique over all files", examples=["etl-failure-spike"])
    playbook: PlaybookName = Field(description="What runs", examples=["etl/failure-spike"])
    matchers: Matchers | None = Field(None, description="Which alerts; all must match")
    schedule: Annotated[
        dict[str, Any] | None,
        WithJsonSchema(
            {
                "type": "object",
                "properties": {
                    "cron": {"type": "string", "examples": ["0 2 * * sun"]},
                    "timezone": {"type": "string", "examples": ["UTC", "Europe/Berlin"]},
                    "misfire": {"enum": ["run_once", "skip"]},
                },
            }
        ),
    ] = Field(None, description="When: cron, or APScheduler's fields")
    query: RuleQueryForm | None = Field(None, description="A query that starts it")
    manual: bool | None = Field(None, description="true: only a person starts it")
    condition: Annotated[Any, WithJsonSchema({"anyOf": [{"type": "string"}, _Condition]})] = Field(
        None, description="What must hold besides: a name, or written out"
    )
    firing_for: Seconds | None = Field(None, description="How long the alert must fire first")
    count: CountForm | None = Field(None, description="How many episodes must come together")
    run_per: Labels | None = Field(
        None, description="One active run for each value of these labels; default: group labels"
    )
    throttle: ThrottleForm | None = Field(None, description="At most one run in a while")
    cooldown: Seconds | None = Field(
        None, description="How long after a run's end it starts none", examples=["15m"]
    )
    priority: Annotated[
        Any,
        WithJsonSchema(
            {"anyOf": [{"enum": ["P0", "P1", "P2"]}, {"x-ref": "#/$defs/PriorityForm"}]}
        ),
    ] = Field(None, description="Expressions by priority; P0 is asked first")
    mode: Literal["auto", "approve", "dry_run", "off"] = Field(
        "approve", description="approve: people approve before the first change"
    )
    concurrency: ConcurrencyForm | None = Field(None, description="What happens while one runs")
    inputs: dict[str, Any] = Field(
        {}, description="The playbook's inputs; templates over the alert"
    )
    on_resolved: Literal["verify", "note", "cancel"] | None = Field(
        None, description="What a resolved alert does to the run"
    )
    continue_: bool = Field(
        False, alias="continue", description="Whether later rules of the file are asked too"
    )


class RulesFile(Form):
    """Rules, and conditions that they name."""

    rules: Annotated[
        list[Any], WithJsonSchema({"type": "array", "items": {"x-ref": "#/$defs/RuleForm"}})
    ] = Field([], description="Asked in this order; the first match wins unless it continues")
    conditions: Annotated[
        dict[Word, Any], WithJsonSchema({"type": "object", "additionalProperties": _Condition})
    ] = Field({}, description="Conditions by name")
