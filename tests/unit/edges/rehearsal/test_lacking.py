"""What a world does not hold fails the rehearsal and is named, whatever its kind: nothing is empty in silence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.edges.rehearsal.stage import clean_up
from engine.edges.rehearsal.suite import Result
from tests.unit.edges.rehearsal.kit import make_ground, played


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    yield
    clean_up()


def asked(folder: Path, action: str, given: str, world: str) -> Result:
    """Play a playbook of one step over a world that has no answer to it."""
    book = f"playbook: shop/ask\nsteps:\n  - {{id: ask, action: {action}, with: {{{given}}}}}\n"
    ground = make_ground(folder, {"shop/ask": book})
    text = (
        f"rehearsal: it asks\nplaybook: shop/ask\nworld: {{{world}}}\nexpect: {{run: succeeded}}\n"
    )
    return played(ground, folder, text)


@pytest.mark.parametrize(
    ("action", "given", "world", "call"),
    [
        (
            "http.request",
            "connection: api, method: GET, path: /v1/jobs",
            "api: [{path: /v1/other, json: {}, optional: true}]",
            "/v1/jobs",
        ),
        (
            "command.run",
            "connection: tools, program: queue, arguments: [pause]",
            "tools: [{program: queue, arguments: [resume], optional: true}]",
            "queue",
        ),
        (
            "prometheus.query",
            'connection: metrics, query: "up"',
            "metrics: [{query: down, value: 1, optional: true}]",
            "up",
        ),
        (
            "postgres.query",
            'connection: warehouse, sql: "SELECT 1 AS n"',
            "warehouse: {answers: [{action: postgres.query, with: {sql: SELECT 2 AS n}, output: {}, optional: true}]}",
            "SELECT 1 AS n",
        ),
    ],
)
def test_a_call_without_an_answer_is_named_with_how_to_record_one(
    tmp_path: Path, action: str, given: str, world: str, call: str
) -> None:
    result = asked(tmp_path, action, given, world)
    assert not result.error
    lacking = [miss for miss in result.misses if miss.what.startswith("a call")]
    assert lacking, [(miss.what, miss.seen) for miss in result.misses]
    assert call in lacking[0].what
    assert "stanch record" in lacking[0].expected


@pytest.mark.parametrize(
    ("action", "given", "world", "why"),
    [
        (
            "kubernetes.scale",
            "connection: cluster, namespace: shop, kind: Deployment, name: web, replicas: 1",
            "cluster: {namespace: shop, objects: []}",
            "web",
        ),
        (
            "s3.list",
            "connection: files, bucket: out",
            "files: {buckets: {other: {objects: {}}}}",
            "bucket does not exist",
        ),
    ],
)
def test_an_object_that_a_world_does_not_hold_is_not_found(
    tmp_path: Path, action: str, given: str, world: str, why: str
) -> None:
    result = asked(tmp_path, action, given, world)
    assert not result.ok
    told = " ".join([result.error, *(f"{miss.what} {miss.seen}" for miss in result.misses)])
    assert why in told
