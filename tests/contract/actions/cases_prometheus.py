"""Prometheus's cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from actions.prometheus import PrometheusKind, PrometheusQuery, PrometheusRange
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


READS = {"prometheus.query": query, "prometheus.range": range_query}
