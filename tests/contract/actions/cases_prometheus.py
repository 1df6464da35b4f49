"""Prometheus's cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from actions.prometheus import (
    PrometheusCompare,
    PrometheusFailureSpike,
    PrometheusKind,
    PrometheusQuery,
    PrometheusRange,
    PrometheusSeries,
)
from engine.contract import Category
from tests.contract.actions.cases import Fault, ReadCase
from tests.contract.actions.conftest import Served
from tests.contract.actions.recorder import Recorder
from tests.contract.actions.worlds import Connections
from worlds.servers.process import free_port

TOKEN = "metrics+token/=&"


def connections(url: str, **settings: Any) -> Connections:
    raw: Mapping[str, Any] = {"url": url, "bearer": {"env": "TOKEN"}, "timeout": 5, **settings}
    return Connections({"metrics": (PrometheusKind(), raw)}, {"TOKEN": TOKEN})


def _parts(request: pytest.FixtureRequest, params: Mapping[str, Any]) -> tuple[Any, ...]:
    recorder: Recorder = request.getfixturevalue("metrics")
    served: Served = request.getfixturevalue("served")
    whole = {"connection": "metrics", **params}
    faults = {
        "unreachable": Fault(
            Category.TRANSIENT, connections(f"http://127.0.0.1:{free_port()}"), whole
        ),
        "credentials": Fault(Category.CONFIGURATION, connections(served.recorder.url), whole),
        "missing": Fault(Category.CONFIGURATION, connections(f"{recorder.url}/no/such"), whole),
        "bad query": Fault(
            Category.PERMANENT, connections(recorder.url), {**whole, "query": "sum(", "params": {}}
        ),
    }
    return connections(recorder.url), whole, lambda: None, recorder.http_writes, faults, [TOKEN]


def query(request: pytest.FixtureRequest) -> ReadCase:
    def check(output: Any) -> None:
        assert output["value"] == 1.0
        assert output["vector"] == [{"labels": {"job": "self"}, "value": 1.0, "text": "1"}]
        assert not output["empty"]

    params = {
        "query": 'label_replace(vector(1), "job", "$job", "", "")',
        "params": {"job": "self"},
    }
    return ReadCase(*_parts(request, params), action=PrometheusQuery(), check=check)


def range_query(request: pytest.FixtureRequest) -> ReadCase:
    def check(output: Any) -> None:
        assert output["series"][0]["labels"] == {}
        assert {point[1] for point in output["series"][0]["points"]} == {7.0}

    params = {"query": "vector($n)", "params": {"n": 7}, "since": "1m", "step": 15}
    return ReadCase(*_parts(request, params), action=PrometheusRange(), check=check)


AT = "2026-11-23T03:15:00Z"
AT_UNIX = 1795403700


def compare(request: pytest.FixtureRequest) -> ReadCase:
    def check(output: Any) -> None:
        assert (output["now"], output["then"]) == (AT_UNIX, AT_UNIX - 3600)
        assert (output["difference"], output["at"]) == (3600.0, AT)
        assert output["ratio"] == pytest.approx(1.000002, abs=1e-6)
        assert len(output["series"]) == 1

    params = {"query": "vector(time() * $n)", "params": {"n": 1}, "at": AT, "ago": "1h"}
    return ReadCase(*_parts(request, params), action=PrometheusCompare(), check=check)


def failure_spike(request: pytest.FixtureRequest) -> ReadCase:
    def check(output: Any) -> None:
        assert (output["value"], output["threshold"], output["spike"]) == (10.0, 3.0, True)
        assert output["baseline"] == {"median": 1.0, "highest": 1.0, "points": 61}
        assert output["ratio"] == 10.0

    params = {
        "query": "vector(1 + 9 * (time() > bool $since))",
        "params": {"since": AT_UNIX - 200},
        "at": AT,
    }
    return ReadCase(*_parts(request, params), action=PrometheusFailureSpike(), check=check)


def series(request: pytest.FixtureRequest) -> ReadCase:
    def check(output: Any) -> None:
        assert output["times"] == [f"2026-11-23T03:{minute}:00Z" for minute in (12, 13, 14, 15)]
        assert output["left_out"] == 1
        (kept,) = output["series"]
        assert (kept["name"], kept["labels"]) == ("b", {"n": "b"})
        assert kept["values"] == [180.0, 120.0, 60.0, 0.0]
        assert (kept["lowest"], kept["highest"], kept["last"]) == (0.0, 180.0, 0.0)

    params = {
        "query": 'label_replace(vector($at - time()), "n", "b", "", "") or '
        'label_replace(vector(-1), "n", "a", "", "")',
        "params": {"at": AT_UNIX},
        "at": AT,
        "since": "3m",
        "points": 4,
        "max_series": 1,
        "label": "n",
    }
    return ReadCase(*_parts(request, params), action=PrometheusSeries(), check=check)


READS = {
    "prometheus.query": query,
    "prometheus.range": range_query,
    "prometheus.compare": compare,
    "prometheus.failure_spike": failure_spike,
    "prometheus.series": series,
}
