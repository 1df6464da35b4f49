"""The exporter's failure rate follows from the replicas and the backfills that it reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import psycopg
import pytest

from worlds.exporter import Counters, Exporter, Model
from worlds.loopback import Loopback, QuietHandler, served_by
from worlds.starforge import ERRORS, seed

PATH = "/apis/apps/v1/namespaces/starforge/deployments/etl-worker"


class Deployments(Loopback):
    """Answers the one read that the exporter makes; the in-memory cluster is tested with the demo."""

    def __init__(self) -> None:
        self.replicas = 6
        super().__init__(served_by(self._serve))

    def _serve(self, request: QuietHandler) -> None:
        found = (request.command, request.path) == ("GET", PATH)
        request.document(200 if found else 404, {"spec": {"replicas": self.replicas}})


@pytest.fixture
def deployments() -> Iterator[Deployments]:
    with Deployments() as it:
        yield it


def until(holds: Callable[[], bool], within: float = 10) -> None:
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end, "did not come true"
        time.sleep(0.02)


def test_only_pausing_and_scaling_down_together_end_the_failures_of_a_leak() -> None:
    model = Model()
    assert model.failing(6, 2, leaking=False) == model.trickle
    assert model.failing(6, 2, leaking=True) > 0.5
    assert 0.01 < model.failing(6, 0, leaking=True) < model.failing(6, 2, leaking=True)
    assert model.failing(1, 0, leaking=True) == model.trickle
    assert model.failing(0, 0, leaking=True) == model.trickle


def test_work_that_does_not_fit_waits() -> None:
    counters = Counters(workers=1)
    counters.advance(Model(speed=20, arriving=100), 2.0, leaking=False)
    assert (counters.processed, counters.waiting) == (40, 160)


@pytest.mark.real
def test_failures_follow_the_real_rows_and_replicas(
    deployments: Deployments, postgres_dsn: str
) -> None:
    seed(postgres_dsn)
    with Exporter(deployments.url, postgres_dsn, interval=0.05) as exporter:
        assert exporter.problem is None
        assert exporter.failing() == Model().trickle
        exporter.break_down()
        assert exporter.failing() == pytest.approx(0.7)
        with psycopg.connect(postgres_dsn) as connection:
            connection.execute("UPDATE backfill_jobs SET status = 'paused' WHERE status <> 'done'")
        until(lambda: exporter.failing() == 0.5)
        deployments.replicas = 1
        until(lambda: exporter.failing() == Model().trickle)
        text = httpx.get(f"http://{exporter.address}/metrics").text
    assert 'starforge_etl_workers{namespace="starforge"} 1\n' in text
    assert 'starforge_queue_jobs_waiting_total{namespace="starforge"} ' in text
    assert 'kube_pod_container_status_restarts_total{namespace="starforge",pod="etl-' in text


def test_an_unreachable_cluster_keeps_the_last_values_and_says_so(
    deployments: Deployments,
) -> None:
    with Exporter(deployments.url, None, interval=0.05) as exporter:
        exporter.cluster += "/nowhere"
        until(lambda: exporter.problem is not None)
        assert exporter.counters.workers == 6


@pytest.mark.real
def test_the_seeded_errors_answer_the_runbooks_query(postgres_dsn: str) -> None:
    seed(postgres_dsn)
    with psycopg.connect(postgres_dsn) as connection:
        rows = connection.execute(
            "SELECT error_type, count(*) FROM etl_errors"
            " WHERE created_at >= now() - interval '1 hour' GROUP BY error_type ORDER BY 2 DESC"
        ).fetchall()
    assert dict(rows) == ERRORS
