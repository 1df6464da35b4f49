"""prometheus.query and prometheus.range: PromQL with bound parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import Field
from pydantic.config import JsonDict

from actions.prometheus import byhand
from actions.prometheus.connection import PrometheusClient
from engine.contract import (
    ActionFailed,
    ActionParams,
    Category,
    Grant,
    Read,
    Target,
    World,
)
from engine.contract.fields import Seconds
from engine.domain.canonical import Json, JsonObject
from engine.domain.clock import format_time, parse_time
from engine.domain.promql import PromqlError, bind

PROMQL: JsonDict = {"x-language": "promql"}


class QueryParams(ActionParams):
    """Parameters of an instant query."""

    connection: str = Field(description="A prometheus connection", examples=["metrics"])
    query: str = Field(
        description="PromQL; values stand in it as $name and are bound from params",
        examples=['sum(rate(etl_failures_total{namespace="$ns"}[5m]))'],
        min_length=1,
        json_schema_extra=PROMQL,
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Values of the query's $names: text inside quotes, numbers and durations outside",
        examples=[{"ns": "starforge"}],
    )
    at: str | None = Field(
        None,
        description="When to evaluate it (RFC 3339 with a zone); the server's now where missing",
        examples=["2026-11-23T03:15:00Z"],
    )
    max_series: int = Field(
        1000, gt=0, le=100_000, description="Most samples taken; more is an error", examples=[1000]
    )


class RangeParams(ActionParams):
    """Parameters of a range query."""

    connection: str = Field(description="A prometheus connection", examples=["metrics"])
    query: str = Field(
        description="PromQL; values stand in it as $name and are bound from params",
        examples=["sum(rate(etl_failures_total[5m]))"],
        min_length=1,
        json_schema_extra=PROMQL,
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="Values of the query's $names", examples=[{"ns": "a"}]
    )
    since: Seconds = Field(
        3600.0, gt=0, description="How far back from `until` it starts", examples=["1h"]
    )
    until: str | None = Field(
        None,
        description="The last moment (RFC 3339 with a zone); now where missing",
        examples=["2026-11-23T03:15:00Z"],
    )
    step: Seconds = Field(60.0, gt=0, description="Time between two points", examples=["1m"])
    max_series: int = Field(100, gt=0, le=10_000, description="Most series taken", examples=[100])


class PrometheusQuery(Read[QueryParams]):
    """One instant query.

    Output: `value` (the first sample's number, None where there is none or where it is NaN or infinite,
    so that it satisfies no comparison), `vector` of `{labels, value, text}`, `at`, `empty`.
    """

    name = "prometheus.query"
    manual = byhand.query
    summary = "Ask Prometheus an instant query"
    Params = QueryParams

    def targets(self, params: QueryParams) -> Sequence[Target]:
        return (Target(params.connection, "query"),)

    def grants(self, params: QueryParams) -> Sequence[Grant]:
        return (Grant(params.connection, "prometheus", {"path": "/api/v1/query"}),)

    def read(self, params: QueryParams, world: World) -> Json:
        query = bound(params.query, params.params)
        at = moment_of(params.at, "at")
        client = world.client(params.connection, PrometheusClient)
        result = client.instant(query, at)
        vector = limited(samples(result), params.max_series)
        moment = _seen_at(result)
        return {
            "value": vector[0]["value"] if vector else None,
            "vector": vector,
            "at": format_time(world.clock.now()) if moment is None else time_text(moment),
            "empty": not vector,
        }


class PrometheusRange(Read[RangeParams]):
    """One range query. Output: `series` of `{labels, points: [[at, value], ...]}`, `empty`."""

    name = "prometheus.range"
    manual = byhand.stretch
    summary = "Ask Prometheus for a stretch of time"
    Params = RangeParams

    def targets(self, params: RangeParams) -> Sequence[Target]:
        return (Target(params.connection, "query"),)

    def grants(self, params: RangeParams) -> Sequence[Grant]:
        return (Grant(params.connection, "prometheus", {"path": "/api/v1/query_range"}),)

    def read(self, params: RangeParams, world: World) -> Json:
        query = bound(params.query, params.params)
        until = moment_of(params.until, "until")
        end = world.clock.now().timestamp() if until is None else until
        if params.since / params.step > 11_000:  # Prometheus refuses more points than that
            what = f"since/step is {params.since / params.step:.0f} points; Prometheus takes 11,000"
            raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
        client = world.client(params.connection, PrometheusClient)
        result = client.range(query, end - params.since, end, params.step)
        series = [
            {
                "labels": dict(item["metric"]),
                "points": [[time_text(at), number_of(text)] for at, text in points_of(item)],
            }
            for item in result
        ]
        return {"series": limited(series, params.max_series), "empty": not series}


def bound(query: str, params: JsonObject) -> str:
    try:
        return bind(query, params)
    except PromqlError as error:
        raise ActionFailed(Category.PERMANENT, f"query: {error}", effect_possible=False) from None


def moment_of(text: str | None, name: str) -> float | None:
    if text is None:
        return None
    try:
        return parse_time(text).timestamp()
    except ValueError as error:
        raise ActionFailed(Category.PERMANENT, f"{name}: {error}", effect_possible=False) from None


def samples(result: Any) -> list[JsonObject]:
    """Read a vector, a scalar, or the last point of each series of a matrix."""
    if len(result) == 2 and not isinstance(result[0], dict):
        return [_sample({}, result[1])]
    return [_sample(item["metric"], _last(item)[1]) for item in result]


def _last(item: JsonObject) -> tuple[float, str]:
    """Return time and text of an item's latest point; a histogram has no number."""
    if "value" in item or item.get("values"):
        at, text = item["value"] if "value" in item else item["values"][-1]
        return float(at), str(text)
    at, _ = item["histogram"] if "histogram" in item else item["histograms"][-1]
    return float(at), "histogram"


def points_of(item: JsonObject) -> list[tuple[float, str]]:
    """Return the points of a series; of histograms there are none."""
    return [(float(at), str(text)) for at, text in item.get("values") or ()]


def _sample(labels: JsonObject, text: str) -> JsonObject:
    return {"labels": dict(labels), "value": number_of(text), "text": text}


def number_of(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _seen_at(result: Any) -> float | None:
    if not result:
        return None
    if not isinstance(result[0], dict):
        return float(result[0])
    return _last(result[0])[0]


def time_text(moment: float) -> str:
    from datetime import UTC, datetime

    return format_time(datetime.fromtimestamp(moment, UTC))


def limited(items: list[JsonObject], limit: int) -> list[JsonObject]:
    if len(items) > limit:
        what = f"the query gives {len(items)} series, over max_series {limit}; aggregate it"
        raise ActionFailed(Category.DATA, what, effect_possible=False)
    return items
