"""The steps of a playbook as they stand in YAML. What is nested in them is read step by step (`reading`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from engine.language.forms import Form
from engine.language.listfields import Categories, Words
from engine.language.namefields import ActionName, PlaybookName, StepId
from engine.language.program import LONGEST_ONCE
from engine.language.valuefields import (
    Amount,
    ComparisonText,
    Duration,
    ExpressionText,
    PositiveDuration,
    PositiveSeconds,
    TimeText,
    Tolerance,
)

Steps = Annotated[
    list[Any], WithJsonSchema({"type": "array", "items": {"x-ref": "#/$defs/Step"}, "minItems": 1})
]
Body = Annotated[Any, WithJsonSchema({})]  # read by its own form


class QueryForm(Form):
    """A query of a metrics connection."""

    connection: str | None = Field(
        None,
        description="A connection; the playbook's defaults for its kind stand in where it is left out",
        examples=["metrics"],
    )
    query: str = Field(
        description="The query; values stand in it as $name",
        examples=['max(up{namespace="$ns"})'],
        min_length=1,
    )
    params: dict[str, Any] = Field({}, description="The values of the query's $names")


class VerifyForm(Form):
    """Asks, after the change, whether it helped."""

    query: QueryForm = Field(description="What is asked")
    becomes: ComparisonText = Field(description="What satisfies it", examples=['"< 0.01"'])
    within: PositiveDuration = Field(description="For how long it is asked", examples=["10m"])
    every: PositiveDuration = Field(30.0, description="Time between two asks; 30s where left out")


class RetryForm(Form):
    """Overrides the retries of the failure's category."""

    attempts: int = Field(3, ge=1, le=100, description="Tries in all, the first included")
    backoff: Literal["none", "linear", "exponential"] = Field(
        "exponential", description="How the delay grows"
    )
    delay: Duration = Field(1.0, description="The first delay; 1s where left out")
    on: Categories = Field((), description="Which categories of failure; all where left out")


class BoundForm(Form):
    """The least and the most that an unknown may resolve to."""

    min: Amount | None = Field(None, description="The least", examples=[1])
    max: Amount | None = Field(None, description="The most", examples=["4Gi"])


class ForeachForm(Form):
    """Runs the step once an item."""

    in_: Annotated[Any, WithJsonSchema({"type": ["string", "array"]})] = Field(
        alias="in",
        description="A list, or a template that yields one",
        examples=['"{{ inputs.repos }}"'],
    )
    key: str | None = Field(
        None, description="A template that names an item", examples=["{{ item.id }}"]
    )
    concurrency: int = Field(1, ge=1, le=1000, description="How many items run at the same time")
    tolerate: Tolerance | None = Field(
        None, description='How many items may fail: "10%" or a number'
    )
    once: PositiveSeconds | None = Field(
        None,
        le=LONGEST_ONCE,
        description="Leave out what another run of the playbook did under the same key within that time; 24h",
    )


class StepForm(Form):
    """What every step may have."""

    id: StepId = Field(description="The step's id, unique in the file", examples=["scale_down"])
    name: str | None = Field(None, description="What people read instead of the id")
    when: ExpressionText | None = Field(None, description="The step is skipped where this is false")
    timeout: PositiveDuration | None = Field(None, description="The longest that the step may take")
    retry: RetryForm | None = Field(None, description="Overrides the retries by category")
    on_failure: Literal["stop", "continue", "undo", "escalate"] = Field(
        "stop", description="What follows when the step fails"
    )


_Foreach = Annotated[
    Any,
    WithJsonSchema({"anyOf": [{"type": ["string", "array"]}, {"x-ref": "#/$defs/ForeachForm"}]}),
]
_FOREACH = Field(None, description="Runs the step once an item; a plain text means `in`")


class ActionStep(StepForm):
    """One use of an action."""

    action: ActionName = Field(description="The action", examples=["kubernetes.scale"])
    with_: dict[str, Any] = Field({}, alias="with", description="The action's parameters")
    foreach: _Foreach = _FOREACH
    bounds: dict[str, BoundForm] = Field(
        {}, description="What a value that is known only later may become"
    )
    verify: VerifyForm | None = Field(None, description="Asks afterwards whether it helped")
    undo: Literal["on_failure", "never"] = Field(
        "on_failure", description="Whether a failure later on undoes the step"
    )


class SwitchStep(StepForm):
    """Runs the case that a value names."""

    switch: str = Field(
        description="A template; its text chooses the case", examples=["{{ steps.class.name }}"]
    )
    cases: Annotated[
        dict[str, Any],
        WithJsonSchema({"type": "object", "additionalProperties": {"x-ref": "#/$defs/Steps"}}),
    ] = Field(description="Steps by value", min_length=1)
    default: Steps = Field([], description="Steps for every other value")


class GroupStep(StepForm):
    """Steps under one `when`, `timeout`, `on_failure` or `foreach`."""

    group: Steps = Field(description="The steps", min_length=1)
    foreach: _Foreach = _FOREACH


class ParallelStep(StepForm):
    """Steps that run at the same time, joined at the end."""

    parallel: Steps = Field(description="The steps", min_length=1)


class CallStep(StepForm):
    """Another playbook as a step; its outputs are the step's output."""

    playbook: PlaybookName = Field(description="The playbook", examples=["etl/re-enable"])
    with_: dict[str, Any] = Field({}, alias="with", description="The playbook's inputs")
    foreach: _Foreach = _FOREACH


class WaitStep(StepForm):
    """Waits for a time, a query, a read."""

    wait: Annotated[Any, WithJsonSchema({"x-ref": "#/$defs/Wait"})] = Field(
        description="What is waited for", examples=["{for: 15m}"]
    )


class GateForm(Form):
    """A place where people approve what is left of the plan."""

    role: str = Field(description="Who may approve", examples=["sre"], min_length=1)
    approvals: int = Field(1, ge=1, le=20, description="How many people must approve")
    within: PositiveDuration = Field(
        3600.0, description="How long it stays open; 1h where left out"
    )
    on_timeout: Literal["abort", "escalate"] = Field(
        "abort", description="What follows when nobody decides; never an approval"
    )
    on_reject: Literal["stop", "continue"] = Field("stop", description="What follows a rejection")


class GateStep(StepForm):
    """Asks people before the run goes on."""

    gate: GateForm = Field(description="Who is asked, and for how long")


class ManualStep(StepForm):
    """Something that a person does, and says so with a note."""

    manual: str = Field(
        description="What is to be done; a template", examples=["Tell Support"], min_length=1
    )
    role: str = Field(description="Who does it", examples=["sre"], min_length=1)
    within: PositiveDuration = Field(3600.0, description="How long it may take; 1h where left out")


class RestoreStep(StepForm):
    """Puts back what those steps changed, newest first."""

    restore: Words = Field(description="Ids of earlier steps", examples=["[slower]"])


class EndStep(StepForm):
    """Ends the run here; `finally` still runs."""

    end: Literal["succeeded", "failed", "needs_human"] = Field(description="How the run ends")
    reason: str = Field("", description="Why; a template")


# ---- the forms of wait ----------------------------------------------------------------------------


class WaitFor(Form):
    """Waits for a while."""

    for_: Duration = Field(alias="for", description="How long", examples=["15m"])


class WaitUntilTime(Form):
    """Waits for a moment."""

    until: TimeText = Field(description="The moment", examples=["2026-11-23T03:15:00Z"])


class WaitBecomes(Form):
    """Waits until a query's value is as wanted."""

    query: QueryForm = Field(description="What is asked")
    becomes: ComparisonText = Field(description="What ends the wait", examples=['"< 1"'])
    within: PositiveDuration = Field(
        description="The longest wait; then the step fails", examples=["1h"]
    )
    every: PositiveDuration = Field(30.0, description="Time between two asks; 30s where left out")


class WaitStays(Form):
    """Waits while a query's value stays as wanted; the first violation fails."""

    query: QueryForm = Field(description="What is asked")
    stays: ComparisonText = Field(description="What must hold all the time", examples=['"< 1"'])
    for_: Duration = Field(alias="for", description="For how long", examples=["15m"])
    every: PositiveDuration = Field(30.0, description="Time between two asks; 30s where left out")


class ReadForm(Form):
    """A read that is asked again and again."""

    action: ActionName = Field(description="An action that only reads", examples=["http.request"])
    with_: dict[str, Any] = Field({}, alias="with", description="The action's parameters")


class WaitRead(Form):
    """Waits until what an action reads is as wanted."""

    read: ReadForm = Field(description="What is read")
    until: ExpressionText = Field(
        description="What ends the wait; sees `result`", examples=["result.complete"]
    )
    within: PositiveDuration = Field(
        description="The longest wait; then the step fails", examples=["2h"]
    )
    every: PositiveDuration = Field(30.0, description="Time between two reads; 30s where left out")


STEP_KINDS: dict[str, type[StepForm]] = {
    "action": ActionStep,
    "switch": SwitchStep,
    "group": GroupStep,
    "parallel": ParallelStep,
    "playbook": CallStep,
    "wait": WaitStep,
    "gate": GateStep,
    "manual": ManualStep,
    "restore": RestoreStep,
    "end": EndStep,
}
WAIT_KINDS: tuple[type[Form], ...] = (WaitFor, WaitUntilTime, WaitBecomes, WaitStays, WaitRead)


def wait_form(keys: set[str]) -> type[Form] | None:
    """Return the form of wait that its keys point to, or None where they point to none."""
    if "read" in keys:
        return WaitRead
    if "stays" in keys:
        return WaitStays
    if "query" in keys or "becomes" in keys:
        return WaitBecomes
    if "until" in keys:
        return WaitUntilTime
    return WaitFor if "for" in keys else None
