"""Rehearsals as they stand in YAML."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from engine.domain.clock import parse_time
from engine.language.forms import Form, bad, bad_type, schema_text
from engine.language.namefields import PlaybookName, RuleName
from engine.language.shownforms import CategoryName, ShownForm, Took
from engine.language.valuefields import PositiveSeconds, Seconds

STEP_STATES = ("succeeded", "failed", "skipped", "changed", "undone", "unknown", "not_reached")
DEFAULT_CLOCK = "2026-01-05T09:00:00Z"  # a Monday


def _moment(value: object) -> str:
    if not isinstance(value, str):
        bad_type(value, "a time such as 2026-11-23T03:15:00Z")
    try:
        parse_time(value)
    except ValueError:
        bad(f"{value!r} is no time with a zone", "write for example 2026-11-23T03:15:00Z")
    return value


Moment = Annotated[
    str, PlainValidator(_moment), schema_text("a time with its zone", ["2026-11-23T03:15:00Z"])
]
Spec = Annotated[Any, WithJsonSchema({})]


class AlertForm(Form):
    """An alert that Alertmanager sends."""

    labels: dict[str, str] = Field(
        description="Its labels, alertname among them", examples=[{"alertname": "ETLFailed"}]
    )
    annotations: dict[str, str] = Field({}, description="Its annotations")
    group_by: list[str] = Field(
        ["alertname"],
        description="The labels that Alertmanager groups by; alertname where left out",
    )
    times: int = Field(
        1, ge=1, le=1000, description="How often it starts anew, `every` so long; 1 where left out"
    )
    every: PositiveSeconds = Field(60.0, description="Time between two starts; 1m")
    deliveries: int = Field(
        1, ge=1, le=1000, description="How often each is delivered: copies must change nothing"
    )
    after: Seconds = Field(0.0, description="When it comes, from the rehearsal's beginning")
    pending: Seconds = Field(0.0, description="For how long it fired before it came")
    resolves: PositiveSeconds | None = Field(
        None, description="How long after its last start it resolves; never where left out"
    )


class FailForm(Form):
    """How an attempt fails."""

    status: int | None = Field(
        None, ge=100, le=599, description="An HTTP status; says the category"
    )
    category: CategoryName | None = Field(
        None, description="The category of the failure; transient where nothing says"
    )
    retry_after: Seconds | None = Field(
        None, description="After which the other side allows another try"
    )
    message: str = Field("a fault of the rehearsal", description="What the failure says")
    effect: Literal["none", "happened"] = Field(
        "none", description="Whether the effect is there although the call failed"
    )


class FaultForm(Form):
    """Something that goes wrong: exactly one of fail, crash and slow."""

    step: str = Field(description="The step's address", examples=["contain.reduce_concurrency"])
    attempt: int = Field(1, ge=1, le=1000, description="At which attempt; 1 where left out")
    times: int = Field(1, ge=1, le=1000, description="At how many attempts from there on")
    fail: FailForm | None = Field(None, description="The attempt fails")
    crash: Literal["before_effect", "after_effect"] | None = Field(
        None, description="The engine dies there and starts again"
    )
    slow: PositiveSeconds | None = Field(None, description="The call takes that long")


class PersonForm(Form):
    """What a person does, and when."""

    who: str = Field(description="The person's name", examples=["alice"], min_length=1)
    roles: list[str] = Field([], description="The roles that they have", examples=[["sre"]])
    does: Literal[
        "approve", "reject", "withdraw", "done", "cancel", "retry", "undo", "pause", "resume"
    ] = Field(
        "approve",
        description="At a gate: approve, reject, withdraw. At a manual step: done. Of the run: cancel, "
        "retry, undo. Of everything: pause, resume",
    )
    gate: str | None = Field(
        None,
        description="The gate's step, or plan (before the first change) or budget",
        examples=["plan"],
    )
    step: str | None = Field(None, description="The manual step that is done")
    after: Seconds = Field(
        0.0,
        description="How long after the gate or task opened, the run began (cancel, pause), stopped "
        "(retry, undo) or the pause (resume)",
    )
    note: str = Field("", description="Their comment, reason or note")
    refused: str | None = Field(
        None, description="The engine must refuse it, with these words in its reason"
    )


class ChangeForm(Form):
    """One net difference at the end."""

    target: str = Field(
        description="What differs; * stands for generated parts of a name",
        examples=["starforge/Deployment/etl-worker"],
    )
    connection: str | None = Field(
        None, description="Its connection, where the target is not enough"
    )
    set: dict[str, Any] = Field(
        {},
        description="Fields by the end of their path: [before, after]",
        examples=[{"replicas": [6, 1]}],
    )
    created: bool | int = Field(False, description="It is new; a number: so many")
    deleted: bool | int = Field(False, description="It is gone; a number: so many")
    rows: int | None = Field(None, ge=1, description="How many rows changed in this way")
    requests: int | None = Field(None, ge=1, description="How many such requests were made")


class MessageForm(Form):
    """Something that people are told."""

    contains: str = Field(description="Words in it", min_length=1)
    to: str | None = Field(None, description="Where: a channel, an address, a connection")
    times: int | None = Field(None, ge=0, description="How often; at least once where left out")


class DecisionForm(Form):
    """What was decided about an alert."""

    rule: str | None = Field(None, description="The rule")
    verdict: Literal["run", "join", "skip", "wait", "ask", "note"] = Field(
        description="What it led to", examples=["run"]
    )
    reason: str = Field("", description="Words in its reason")
    times: int | None = Field(None, ge=0, description="How often; at least once where left out")


class ExpectForm(Form):
    """What must have come of it."""

    run: (
        Literal[
            "planned",
            "succeeded",
            "failed",
            "undone",
            "cancelled",
            "expired",
            "needs_human",
            "held",
            "awaiting_approval",
            "waiting",
            "none",
        ]
        | None
    ) = Field(None, description="The state in which the run rests; none: there is no run")
    runs: int | None = Field(None, ge=0, description="How many runs there are; 1 where left out")
    reason: str = Field("", description="Words in the reason of the run's state")
    steps: dict[str, str] = Field(
        {}, description="Steps by address: " + " | ".join(STEP_STATES), examples=[{"a": "skipped"}]
    )
    attempts: dict[str, Annotated[int, Field(ge=0)]] = Field(
        {}, description="How many attempts a step took"
    )
    outputs: dict[str, Any] = Field({}, description="Outputs of the run, of those named")
    changes: list[ChangeForm] | None = Field(
        None, description="The exact net difference of all worlds; [] for none"
    )
    order: list[str] = Field(
        [],
        description="Events in this order, others may lie between: step, step.started, step.failed, "
        "step.undone, gate.opened, gate.approved, run.STATE, incident.STATE",
    )
    messages: list[MessageForm] = Field([], description="What people were told")
    took: Took | None = Field(None, description="How long the run took on the rehearsal's clock")
    incident: str | None = Field(None, description="The incident's state at the end")
    gates: dict[str, str] = Field(
        {}, description="Gates: approved, rejected, expired, void, withdrawn, open"
    )
    decisions: list[DecisionForm] = Field([], description="What was decided about the alerts")
    shown: list[ShownForm] = Field(
        [], description="What people are shown at a moment: batches, monitor, measures, warm-up"
    )


class AgainForm(Form):
    """Another start of the playbook."""

    after: PositiveSeconds = Field(description="How long after the rehearsal's beginning")
    inputs: dict[str, Any] | None = Field(
        None, description="Its inputs; those of the first start where left out"
    )


class RehearsalFile(Form):
    """A rehearsal: a playbook or a rule, a world, what goes wrong, who acts, and what must come of it."""

    rehearsal: str = Field(
        description="What it shows, one line; unique in its folder",
        examples=["the first measure does not help"],
        min_length=1,
    )
    playbook: PlaybookName | None = Field(None, description="The playbook that is run directly")
    inputs: dict[str, Any] = Field({}, description="Its inputs")
    again: list[AgainForm] = Field([], description="When the playbook is started again")
    mode: Literal["auto", "approve", "dry_run"] | None = Field(
        None, description="The run's mode; auto for a playbook, the rule's own for a rule"
    )
    requester: str = Field("requester", description="Who asks for the playbook; may not approve it")
    rule: RuleName | None = Field(None, description="The rule that starts it")
    clock: Moment = Field(DEFAULT_CLOCK, description="When it begins")
    longest: PositiveSeconds = Field(
        14 * 86400.0, description="It is given up after this time on its clock; 14d"
    )
    alert: AlertForm | None = Field(None, description="The alert that comes")
    alerts: list[AlertForm] = Field([], description="Several alerts")
    world: dict[str, Spec] = Field({}, description="What stands for each connection, by its name")
    world_of: str | None = Field(
        None,
        description="An earlier rehearsal of this file whose world holds, where `world` says nothing else: "
        "keys of a mapping, and entries of a list about the same call, stand instead of its",
    )
    secrets: dict[str, str] = Field({}, description="What stands for secret('name')")
    faults: list[FaultForm] = Field([], description="What goes wrong")
    restarts: list[PositiveSeconds] = Field(
        [],
        description="When the engine is stopped and started anew, and warms up, from the beginning",
        examples=[["1h"]],
    )
    people: list[PersonForm] = Field([], description="Who acts")
    expect: ExpectForm = Field(description="What must come of it")
    covers: list[str] = Field([], description="Rows of the coverage table", examples=[["W6", "W8"]])
