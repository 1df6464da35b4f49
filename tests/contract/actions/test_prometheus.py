"""What prometheus.query promises beyond the contract."""

from __future__ import annotations

from typing import Any

import pytest

from actions.prometheus import PrometheusFailureSpike, PrometheusQuery, PrometheusRange
from engine.contract import ActionFailed, Category
from tests.contract.actions.cases_prometheus import connections
from tests.contract.actions.recorder import Recorder

pytestmark = pytest.mark.real
query = PrometheusQuery()


def read(recorder: Recorder, text: str, **more: Any) -> Any:
    params = query.Params.model_validate({"connection": "metrics", "query": text, **more})
    return query.read(params, connections(recorder.url).reading())


def test_nothing_nan_and_infinity_satisfy_no_comparison(metrics: Recorder) -> None:
    nothing = read(metrics, "absent_metric")
    assert (nothing["value"], nothing["vector"], nothing["empty"]) == (None, [], True)
    for text in ("vector(0) / 0", "vector(1) / 0", "vector(-1) / 0"):
        output = read(metrics, text)
        assert (output["value"], output["empty"]) == (None, False)
    assert read(metrics, "vector(1) / 0")["vector"][0]["text"] == "+Inf"


def test_scalars_ranges_and_a_given_moment(metrics: Recorder) -> None:
    assert read(metrics, "scalar(vector(3))")["value"] == 3.0
    output = read(metrics, "vector(time())", at="2026-11-23T03:15:00+02:00")
    assert (output["value"], output["at"]) == (1795396500.0, "2026-11-23T01:15:00Z")
    with pytest.raises(ActionFailed, match="time zone"):
        read(metrics, "vector(1)", at="2026-11-23T03:15:00")


def test_too_much_is_an_error(metrics: Recorder) -> None:
    many = (
        'label_replace(vector(1), "n", "1", "", "") or label_replace(vector(1), "n", "2", "", "")'
    )
    assert len(read(metrics, many)["vector"]) == 2
    with pytest.raises(ActionFailed, match="2 series, over max_series 1"):
        read(metrics, many, max_series=1)
    small = connections(metrics.url, max_bytes=20)
    params = query.Params.model_validate({"connection": "metrics", "query": many})
    with pytest.raises(ActionFailed, match="larger than 20 bytes"):
        query.read(params, small.reading())
    ranged = PrometheusRange()
    points = {"connection": "metrics", "query": "vector(1)", "since": "1h", "step": 0.1}
    with pytest.raises(ActionFailed, match="11,000"):
        ranged.read(ranged.Params.model_validate(points), small.reading())


@pytest.mark.parametrize(
    ("text", "params", "message"),
    [
        ('up{a="$b"}', {}, r"no value for \$b"),
        ("up", {"b": 1}, r"params\.b is not used"),
        ("up{", {}, "parse error"),
    ],
)
def test_a_query_that_cannot_be_asked(
    metrics: Recorder, text: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ActionFailed, match=message) as caught:
        read(metrics, text, params=params)
    assert caught.value.category is Category.PERMANENT


@pytest.mark.parametrize(
    ("text", "more", "spike", "reason"),
    [
        ("vector(2)", {}, False, "2 is not over 6"),
        ("vector(0)", {"floor": 0.5}, False, "0 is not over 0.5"),
        ("absent_metric", {}, None, "no finite number"),
        ("vector(1) / 0", {}, None, "no finite number"),
        ("vector(2)", {"baseline": "5m", "min_points": 10}, None, "6 points, fewer than 10"),
    ],
)
def test_a_spike_is_told_or_left_open(
    metrics: Recorder, text: str, more: dict[str, Any], spike: bool | None, reason: str
) -> None:
    action = PrometheusFailureSpike()
    params = action.Params.model_validate({"connection": "metrics", "query": text, **more})
    output: Any = action.read(params, connections(metrics.url).reading())
    assert output["spike"] is spike
    assert reason in output["reason"]
