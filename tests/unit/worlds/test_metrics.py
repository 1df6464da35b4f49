"""The stand-in for Prometheus answers what the etl pack asks, and refuses the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from worlds.exporter import Counters, Model
from worlds.metrics import StandInPrometheus

PLAYBOOKS = Path(__file__).parents[3] / "playbooks" / "etl"


@pytest.fixture
def standin() -> Iterator[StandInPrometheus]:
    counters = Counters(workers=6, backfills=2)

    def read() -> str:
        counters.advance(Model(), 1.0, leaking=True)
        return counters.text("starforge", "etl-worker")

    with StandInPrometheus(read, interval=0.02) as it:
        end = time.monotonic() + 5
        while it.value("sum(rate(starforge_etl_snapshots_failed_total[1m]))") is None:
            assert time.monotonic() < end
            time.sleep(0.02)
        yield it


def ask(standin: StandInPrometheus, query: str) -> httpx.Response:
    return httpx.get(f"{standin.url}/api/v1/query", params={"query": query})


def test_a_quotient_of_rates(standin: StandInPrometheus) -> None:
    answer = ask(
        standin,
        'sum(rate(starforge_etl_snapshots_failed_total{namespace="a/b"}[1m]))'
        " / sum(rate(starforge_etl_snapshots_processed_total[1m])) / 0.01",
    ).json()
    value = float(answer["data"]["result"][0]["value"][1])
    assert value == pytest.approx(70, rel=0.01)


def test_an_unknown_metric_is_an_empty_vector(standin: StandInPrometheus) -> None:
    assert ask(standin, "sum(nothing_at_all)").json()["data"]["result"] == []


def test_more_than_it_understands_is_refused(standin: StandInPrometheus) -> None:
    answer = ask(standin, "histogram_quantile(0.9, x)")
    assert answer.status_code == 400
    assert "install prometheus" in answer.json()["error"]


def queries() -> list[str]:
    found: list[str] = []

    def look(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("query"), str):
                found.append(value["query"])
            for item in value.values():
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    for path in PLAYBOOKS.glob("*.yaml"):
        if path.name.endswith(".rehearsal.yaml"):
            continue
        look(yaml.safe_load(path.read_text()))
    return found


def test_every_query_of_the_pack_is_answered(standin: StandInPrometheus) -> None:
    assert len(queries()) >= 8
    for query in queries():
        bound = query.replace("$window", "1m").replace("$ns", "starforge")
        bound = bound.replace("$threshold", "0.01").replace("$deployment", "etl-worker")
        assert ask(standin, bound).json()["data"]["result"], query
