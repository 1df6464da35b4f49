"""prometheus.compare, prometheus.failure_spike and prometheus.series: a query seen against its own past."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from pydantic import Field, model_validator

from actions.prometheus import byhand
from actions.prometheus.connection import PrometheusClient
from actions.prometheus.query import (
    PROMQL,
    bound,
    limited,
    moment_of,
    number_of,
    points_of,
    samples,
    time_text,
)
from engine.contract import ActionFailed, ActionParams, Category, Grant, Read, Target, World
from engine.contract.fields import Seconds
from engine.domain.canonical import Json, JsonObject, canonical_json


class _Asked(ActionParams):
    """What every question over time has."""

    connection: str = Field(description="A prometheus connection", examples=["metrics"])
    query: str = Field(
        description="PromQL; values stand in it as $name and are bound from params",
        examples=['sum(rate(etl_failures_total{namespace="$ns"}[5m]))'],
        min_length=1,
        json_schema_extra=PROMQL,
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="Values of the query's $names", examples=[{"ns": "a"}]
    )
    at: str | None = Field(
        None,
        description="The present (RFC 3339 with a zone); the engine's now where missing",
        examples=["2026-11-23T03:15:00Z"],
    )

    def present(self, world: World) -> float:
        """Return the moment that is asked about, as Unix time."""
        given = moment_of(self.at, "at")
        return world.clock.now().timestamp() if given is None else given


class CompareParams(_Asked):
    """Parameters of a comparison."""

    ago: Seconds = Field(3600.0, gt=0, description="How long before the present", examples=["1d"])
    max_series: int = Field(100, gt=0, le=10_000, description="Most series taken", examples=[100])


class SpikeParams(_Asked):
    """Parameters of a spike's question. The query gives one number: a rate, or a share of failures."""

    window: Seconds = Field(
        300.0, ge=0, description="The latest stretch, left out of the baseline", examples=["5m"]
    )
    baseline: Seconds = Field(
        3600.0, gt=0, description="How far before the window the baseline reaches", examples=["1h"]
    )
    step: Seconds = Field(
        60.0, gt=0, description="Time between two baseline points", examples=["1m"]
    )
    factor: float = Field(
        3.0, gt=1, description="How many times the baseline's median a spike is", examples=[3.0]
    )
    floor: float = Field(
        0.0,
        ge=0,
        description="Below this nothing is a spike, however quiet it was",
        examples=[0.01],
    )
    min_points: int = Field(
        10, gt=0, description="Fewer baseline points leave the answer open", examples=[10]
    )


class SeriesParams(_Asked):
    """Parameters of a chart's data."""

    since: Seconds = Field(3600.0, gt=0, description="How far back it reaches", examples=["2h"])
    points: int = Field(60, ge=2, le=1000, description="Points of each series", examples=[60])
    max_series: int = Field(
        10, gt=0, le=50, description="Most series; the highest at the end are kept", examples=[5]
    )
    label: str | None = Field(
        None,
        description="The label that names a series; all of them where missing",
        examples=["pod"],
    )

    @model_validator(mode="after")
    def _step(self) -> SeriesParams:
        if self.since / self.points < 0.001:
            raise ValueError("since/points is below a millisecond; ask for fewer points")
        return self


class _OverTime(Read[Any]):
    """Target and rights of every question over time."""

    def targets(self, params: _Asked) -> Sequence[Target]:
        return (Target(params.connection, "query"),)

    def grants(self, params: _Asked) -> Sequence[Grant]:
        return tuple(Grant(params.connection, "prometheus", {"path": path}) for path in self.paths)

    paths: Sequence[str] = ("/api/v1/query",)


class PrometheusCompare(_OverTime):
    """A query now and some time ago.

    Output: `now`, `then`, `difference`, `ratio` of the first series (None where a side has no finite
    number, `ratio` also where then was 0), and `series` with the same of each, by `labels`.
    """

    name = "prometheus.compare"
    manual = byhand.compare
    summary = "Compare a query with its value some time ago"
    Params = CompareParams

    def read(self, params: CompareParams, world: World) -> Json:
        query = bound(params.query, params.params)
        client = world.client(params.connection, PrometheusClient)
        at = params.present(world)
        sides = [
            _by_labels(limited(samples(client.instant(query, moment)), params.max_series))
            for moment in (at, at - params.ago)
        ]
        present, past = sides
        series = [
            {"labels": labels, **_compared(present.get(key), past.get(key))}
            for key, labels in _labels(sides).items()
        ]
        first = series[0] if series else {"labels": {}, **_compared(None, None)}
        return {
            **{name: first[name] for name in ("now", "then", "difference", "ratio")},
            "series": series,
            "at": time_text(at),
            "empty": not series,
        }


class PrometheusFailureSpike(_OverTime):
    """Whether a rate stands out from its own recent baseline.

    Output: `value` (the latest), `baseline` with `median`, `highest` and `points`, `threshold` (the larger
    of `floor` and `factor` times the median), `ratio` to the median, `spike`, and `reason`. `spike` is None
    where it cannot be told: no value, or too few points.
    """

    name = "prometheus.failure_spike"
    manual = byhand.spike
    summary = "Tell whether a failure rate stands out from its recent baseline"
    Params = SpikeParams
    paths = ("/api/v1/query", "/api/v1/query_range")

    def read(self, params: SpikeParams, world: World) -> Json:
        _hold_points(params.baseline / params.step)
        query = bound(params.query, params.params)
        client = world.client(params.connection, PrometheusClient)
        at = params.present(world)
        current = limited(samples(client.instant(query, at)), 1)
        value = current[0]["value"] if current else None
        end = at - params.window
        past = limited(client.range(query, end - params.baseline, end, params.step), 1)
        numbers = [number_of(text) for _, text in points_of(past[0])] if past else []
        points = [number for number in numbers if number is not None]
        return {"at": time_text(at), **judged(value, points, params)}


class PrometheusSeries(_OverTime):
    """A query's course, ready for a chart: every series on the same times.

    Output: `times`, `series` of `{name, labels, values, lowest, highest, last}` (None where there is no
    finite number), highest last value first, and `left_out`, how many more there are.
    """

    name = "prometheus.series"
    manual = byhand.stretch
    summary = "Get a query's course for a chart"
    Params = SeriesParams
    paths = ("/api/v1/query_range",)

    def read(self, params: SeriesParams, world: World) -> Json:
        query = bound(params.query, params.params)
        client = world.client(params.connection, PrometheusClient)
        end = params.present(world)
        step = params.since / (params.points - 1)
        start = end - params.since
        result = client.range(query, start, end, step)
        drawn = [_drawn(item, start, step, params) for item in result]
        drawn.sort(key=lambda one: (one["last"] is None, -(one["last"] or 0.0), one["name"]))
        return {
            "times": [time_text(round(start + n * step, 3)) for n in range(params.points)],
            "series": drawn[: params.max_series],
            "left_out": max(0, len(drawn) - params.max_series),
            "empty": not drawn,
        }


def judged(value: float | None, points: Sequence[float], params: SpikeParams) -> JsonObject:
    """Decide from the latest value and the baseline's points; see `PrometheusFailureSpike`."""
    usual = median(points) if points else None
    threshold = None if usual is None else max(params.floor, params.factor * usual)
    spike: bool | None = None
    if value is None:
        reason = "the query gives no finite number now"
    elif len(points) < params.min_points or threshold is None:
        reason = f"the baseline has {len(points)} points, fewer than {params.min_points}"
    else:
        spike = value > threshold
        reason = f"{value:g} is {'over' if spike else 'not over'} {threshold:g}"
    return {
        "value": value,
        "baseline": {
            "median": usual,
            "highest": max(points) if points else None,
            "points": len(points),
        },
        "threshold": threshold,
        "ratio": value / usual if value is not None and usual else None,
        "spike": spike,
        "reason": reason,
    }


def _by_labels(found: Sequence[JsonObject]) -> dict[str, JsonObject]:
    return {canonical_json(item["labels"]): item for item in found}


def _labels(sides: Sequence[Mapping[str, JsonObject]]) -> dict[str, JsonObject]:
    return {key: item["labels"] for side in sides for key, item in side.items()}


def _compared(present: JsonObject | None, past: JsonObject | None) -> JsonObject:
    now = present["value"] if present else None
    then = past["value"] if past else None
    if now is None or then is None:
        return {"now": now, "then": then, "difference": None, "ratio": None}
    ratio = now / then if then else None
    return {"now": now, "then": then, "difference": now - then, "ratio": ratio}


def _drawn(item: Any, start: float, step: float, params: SeriesParams) -> JsonObject:
    """Lay a series' points on the common times; gaps stay None."""
    values: list[float | None] = [None] * params.points
    for at, text in points_of(item):
        place = round((at - start) / step)
        if 0 <= place < params.points:
            values[place] = number_of(text)
    known = [value for value in values if value is not None and math.isfinite(value)]
    labels = dict(item["metric"])
    shown = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return {
        "name": labels.get(params.label, "") if params.label else shown,
        "labels": labels,
        "values": values,
        "lowest": min(known) if known else None,
        "highest": max(known) if known else None,
        "last": values[-1],
    }


def _hold_points(points: float) -> None:
    if points > 11_000:  # Prometheus refuses more points than that
        what = f"baseline/step is {points:.0f} points; Prometheus takes 11,000"
        raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
