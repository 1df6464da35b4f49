"""Answers of Prometheus that are none, are late, or hold no numbers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from actions.prometheus import (
    PrometheusCompare,
    PrometheusFailureSpike,
    PrometheusQuery,
    PrometheusRange,
    PrometheusSeries,
)
from engine.contract import ActionFailed, Category
from tests.contract.actions.cases_prometheus import connections
from tests.contract.actions.recorder import Recorder
from worlds.loopback import Loopback, QuietHandler, served_by

ALL = (
    PrometheusQuery(),
    PrometheusRange(),
    PrometheusCompare(),
    PrometheusFailureSpike(),
    PrometheusSeries(),
)


class Stub(Loopback):
    """Answers everything alike."""

    def __init__(self) -> None:
        self.status, self.body, self.after, self.delay = 200, "{}", "", 0.0
        super().__init__(served_by(self._serve))

    def _serve(self, request: QuietHandler) -> None:
        request.content()
        time.sleep(self.delay)
        headers = {"Retry-After": self.after} if self.after else {}
        request.whole(self.status, "application/json", self.body.encode(), headers)

    def result(self, kind: str, result: Any) -> None:
        self.body = json.dumps(
            {"status": "success", "data": {"resultType": kind, "result": result}}
        )


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as made:
        yield made


def ask(action: Any, url: str, text: str = "up", **settings: Any) -> Any:
    params = action.Params.model_validate({"connection": "metrics", "query": text})
    return action.read(params, connections(url, **settings).reading())


@pytest.mark.parametrize("action", ALL, ids=lambda action: action.name)
@pytest.mark.parametrize(
    ("status", "body", "category"),
    [
        (200, "{}", Category.CONFIGURATION),
        (200, '{"status": "success", "data": null}', Category.CONFIGURATION),
        (200, '{"status": "success", "data": {"resultType": "vector"}}', Category.CONFIGURATION),
        (200, "<html>", Category.CONFIGURATION),
        (422, '{"status": "error", "error": "many-to-many matching"}', Category.DATA),
        (429, '{"status": "error", "error": "slow down"}', Category.RATE_LIMIT),
        (503, '{"status": "error", "error": "query timed out"}', Category.TRANSIENT),
    ],
)
def test_what_is_no_result_is_classified(
    stub: Stub, action: Any, status: int, body: str, category: Category
) -> None:
    stub.status, stub.body, stub.after = status, body, "7" if status == 429 else ""
    with pytest.raises(ActionFailed) as caught:
        ask(action, stub.url)
    assert caught.value.category is category
    assert caught.value.retry_after == (7.0 if status == 429 else None)
    assert not caught.value.effect_possible


def test_an_answer_that_does_not_come_is_transient(stub: Stub) -> None:
    stub.delay = 1.0
    with pytest.raises(ActionFailed, match="no answer within") as caught:
        ask(PrometheusQuery(), stub.url, timeout=0.1)
    assert caught.value.category is Category.TRANSIENT


def test_histograms_have_no_number(stub: Stub) -> None:
    held = {"count": "3", "sum": "1"}
    stub.result("vector", [{"metric": {}, "histogram": [1795396500.0, held]}])
    output = ask(PrometheusQuery(), stub.url)
    assert (output["value"], output["empty"]) == (None, False)
    stub.result("matrix", [{"metric": {}, "histograms": [[1795396500.0, held]]}])
    assert ask(PrometheusRange(), stub.url)["series"] == [{"labels": {}, "points": []}]
    assert ask(PrometheusSeries(), stub.url)["series"][0]["last"] is None


@pytest.mark.real
def test_nothing_and_no_numbers_over_time(metrics: Recorder) -> None:
    nothing = ask(PrometheusRange(), metrics.url, "absent_metric")
    assert (nothing["series"], nothing["empty"]) == ([], True)
    drawn = ask(PrometheusSeries(), metrics.url, "absent_metric")
    assert (drawn["series"], drawn["left_out"], drawn["empty"]) == ([], 0, True)
    (line,) = ask(PrometheusSeries(), metrics.url, "vector(0) / 0")["series"]
    assert (line["last"], line["lowest"], set(line["values"])) == (None, None, {None})
    for text in ("absent_metric", "vector(0) / 0"):
        compared = ask(PrometheusCompare(), metrics.url, text)
        assert (compared["difference"], compared["ratio"]) == (None, None)
    zero = ask(PrometheusCompare(), metrics.url, "vector(0)")
    assert (zero["difference"], zero["ratio"]) == (0.0, None)
    json.dumps(line, allow_nan=False)


@pytest.mark.real
def test_what_the_server_cannot_execute_says_why(metrics: Recorder) -> None:
    both = 'label_replace(vector(1), "n", "1", "", "")'
    text = f'({both} or label_replace(vector(2), "n", "2", "", "")) + on() group_left() ({both} '
    text += 'or label_replace(vector(3), "n", "3", "", ""))'
    with pytest.raises(ActionFailed, match="many-to-many") as caught:
        ask(PrometheusQuery(), metrics.url, text)
    assert caught.value.category is Category.DATA
