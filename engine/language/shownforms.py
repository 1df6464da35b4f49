"""What a rehearsal expects people to be shown at a moment: batches, the live monitor, measures, warm-up.

The numbers are those of `stanch top --json`, `stanch metrics --json` and the API, made by the same functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from engine.language.comparisons import parse_number
from engine.language.durations import parse_duration
from engine.language.forms import Form, bad, bad_type, schema_text
from engine.language.problems import BadText
from engine.language.program import Comparison
from engine.language.quantities import parse_bytes
from engine.language.valuefields import PositiveSeconds, Seconds

OPERATORS = ("<=", ">=", "==", "!=", "<", ">")
WEEK = 7 * 86400.0  # seconds; what is measured is kept so long
INTERVALS = 1000  # of a series, at most


def is_window(since: float) -> bool:
    """Tell whether what was measured is shown for so many seconds: a minute to a week."""
    return 60.0 <= since <= WEEK


def is_series(since: float, every: float) -> bool:
    """Tell whether a window makes a series in steps of `every` seconds."""
    return 1 <= every <= since and since / every <= INTERVALS


CategoryName = Literal[
    "transient", "resource", "rate_limit", "configuration", "data", "permanent", "unclassified"
]
Kept = Literal["connection", "discovery", "playbook"]
Count = Annotated[int, Field(ge=0)]
Errors = dict[CategoryName, Annotated[int, Field(ge=1)]]


def compared(read: Callable[[str], float], example: str) -> Callable[[object], Comparison]:
    """Return what reads an operator and a value with its unit."""

    def check(value: object) -> Comparison:
        if not isinstance(value, str):
            bad_type(value, f'a comparison such as "{example}"', f'write for example "{example}"')
        text = value.strip()
        operator: Any = next((one for one in OPERATORS if text.startswith(one)), None)
        if operator is None:
            bad(f"{value!r} begins with no operator", f'write for example "{example}"')
        try:
            return Comparison(op=operator, value=float(read(text[len(operator) :].strip())))
        except BadText as error:
            bad(error.message, error.hint)

    return check


def _share(value: object) -> Comparison:
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = Comparison(op="==", value=float(value))
    elif isinstance(value, str):
        found = compared(parse_number, ">= 0.9")(value)
    else:
        bad_type(value, 'a share from 0 to 1, or a comparison such as ">= 0.9"')
    if not 0 <= found.value <= 1:
        bad(f"{found.value:g} is no share", "write from 0 to 1: 0.98 is 98 %")
    return found


Took = Annotated[
    Comparison,
    PlainValidator(compared(parse_duration, "< 1h")),
    schema_text("an operator and a duration", ["< 1h"]),
]
Bytes = Annotated[
    Comparison,
    PlainValidator(compared(parse_bytes, "< 512Mi")),
    schema_text("an operator and a size", ["< 512Mi"]),
]
Share = Annotated[
    Comparison,
    PlainValidator(_share),
    WithJsonSchema(
        {
            "type": ["number", "string"],
            "description": "a share from 0 to 1, or an operator and one",
            "examples": [0.5, ">= 0.9"],
        }
    ),
]


class AfterForm(Form):
    """A moment that follows a step."""

    step: str = Field(description="The step's address", examples=["submit"])
    in_: Seconds = Field(0.0, alias="in", description="How long after the step was done")


class BatchForm(Form):
    """How far the items of a foreach are."""

    step: str = Field(description="The address of the step with the foreach", examples=["retry"])
    run: int = Field(1, ge=1, description="Of which run, in the order of their beginning")
    total: Count | None = Field(None, description="Items of the manifest")
    done: Count | None = Field(None, description="Items that are over and did not fail")
    failed: Count | None = Field(None, description="Items that failed")
    under_way: Count | None = Field(None, description="Items that have begun and are not over")
    waiting: Count | None = Field(None, description="Items that have not begun")
    progress: Share | None = Field(None, description="The share that is over")
    eta: Took | None = Field(None, description="What the rest will take at the pace so far")
    errors: Errors | None = Field(None, description="Failed items by category; {} for none")


class StageForm(Form):
    """What was measured of a stage: an action, or a kind of step that has none."""

    started: Count | None = Field(None, description="How often it began")
    ended: Count | None = Field(None, description="How often it ended")
    failed: Count | None = Field(None, description="How often it failed")
    retried: Count | None = Field(None, description="How often it was tried again")
    errors: Errors | None = Field(None, description="Failures by category; {} for none")
    median: Took | None = Field(None, description="Half of the times are shorter")
    longest: Took | None = Field(None, description="The longest time")
    memory: Bytes | None = Field(None, description="The most that the process held meanwhile")


Stages = dict[str, StageForm]


class IntervalForm(Form):
    """One interval of the series."""

    at: Seconds = Field(description="A moment in it, from the rehearsal's beginning")
    stages: Stages = Field(description="What was measured in it", min_length=1)


class MetricsForm(Form):
    """What `stanch metrics` says."""

    since: PositiveSeconds = Field(WEEK, description="The window; 7d")
    every: PositiveSeconds = Field(3600.0, description="The width of an interval; 1h")
    stages: Stages = Field({}, description="Stages over the whole window")
    series: list[IntervalForm] = Field([], description="Stages by interval")


class RecentForm(Form):
    """The runs that ended within the last 24 hours."""

    ended: Count | None = Field(None, description="How many")
    success: Share | None = Field(None, description="The share of them that went well")
    errors: list[str] = Field([], description="Words in the newest failures, each in one of them")


class TopForm(Form):
    """What `stanch top` says."""

    states: dict[str, Count] = Field({}, description="Runs that are not over, by state")
    batches: list[BatchForm] | None = Field(
        None, description="The batches under way, all of them; [] for none"
    )
    recent: RecentForm | None = Field(None, description="The last 24 hours")


class WarmedForm(Form):
    """What the engine fetched before runs needed it, since its last restart."""

    fetched: list[str] = Field(
        [],
        description="Names of connections and playbooks that were fetched",
        examples=[["metrics", "etl/assess"]],
    )
    hits: dict[Kept, Share] = Field(
        {}, description="How often what runs needed was there", examples=[{"connection": 1}]
    )
    memory: Bytes | None = Field(None, description="By how much the process grew")


class ShownForm(Form):
    """What people are shown at a moment; at the end where neither at nor after stands."""

    at: Seconds | None = Field(None, description="The moment, from the rehearsal's beginning")
    after: AfterForm | None = Field(None, description="The moment, from a step's end")
    batches: list[BatchForm] = Field(
        [], description="Batches of the runs, also those that are over"
    )
    top: TopForm | None = Field(None, description="What `stanch top` says")
    metrics: MetricsForm | None = Field(None, description="What `stanch metrics` says")
    warmup: WarmedForm | None = Field(None, description="What was fetched before runs needed it")
