"""`stanch record` against real parts: what they answer becomes a rehearsal that is right and passes at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from engine.edges.cli.main import run
from worlds.cluster import Cluster
from worlds.cluster.server import ClusterServer
from worlds.servers import PrometheusServer

pytestmark = pytest.mark.real

BOOK = """
playbook: shop/calm
summary: pause the jobs of a shop and take a worker out
inputs: {type: object, properties: {kind: {type: string, default: backfill}}}
defaults: {kubernetes: {connection: cluster, namespace: shop}, prometheus: {connection: metrics}}
steps:
  - {id: rate, action: prometheus.query, with: {query: "vector(0.25)"}}
  - id: jobs
    action: postgres.query
    with:
      connection: warehouse
      sql: SELECT id, owner_email FROM jobs WHERE kind = %(kind)s ORDER BY id
      params: {kind: "{{ inputs.kind }}"}
  - id: pause
    when: steps.rate.value > 0.1
    action: postgres.execute
    with:
      connection: warehouse
      sql: UPDATE jobs SET status = 'paused' WHERE kind = %(kind)s
      params: {kind: "{{ inputs.kind }}"}
      key: [id]
  - {id: scale, action: kubernetes.scale, with: {kind: Deployment, name: web, replicas: 2}}
outputs: {jobs: "{{ steps.jobs.count }}"}
"""
WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        },
    },
}
SECRETS = {"SHOP_TOKEN": "admin-token", "SHOP_PASSWORD": "only-the-shop-knows"}


@pytest.fixture
def here(
    tmp_path: Path,
    postgres_dsn: str,
    prometheus_server_factory: Callable[..., PrometheusServer],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:
    with psycopg.connect(postgres_dsn) as connection:
        connection.execute(
            "CREATE TABLE jobs (id int PRIMARY KEY, kind text, status text, owner_email text)"
        )
        connection.execute(
            "INSERT INTO jobs SELECT n, 'backfill', 'running', 'owner' || n || '@example.com'"
            " FROM generate_series(1, 3) n"
        )
    cluster = Cluster()
    cluster.load([WEB])
    server = ClusterServer(cluster, 0).start()
    prometheus = prometheus_server_factory()
    connections = {
        "cluster": {"kind": "kubernetes", "server": server.url, "token": {"env": "SHOP_TOKEN"}},
        "metrics": {"kind": "prometheus", "url": prometheus.url},
        "warehouse": {
            "kind": "postgres",
            "dsn": postgres_dsn,
            "password": {"env": "SHOP_PASSWORD"},
        },
    }
    (tmp_path / "playbooks/shop").mkdir(parents=True)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/none.yaml").write_text("rules: []\n")
    (tmp_path / "playbooks/shop/calm.yaml").write_text(BOOK)
    (tmp_path / "stanch.yaml").write_text(json.dumps({"connections": connections}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STANCH_CONFIG", raising=False)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    yield tmp_path
    server.stop()


def test_what_real_parts_answer_is_a_rehearsal_that_passes(
    here: Path, postgres_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "playbooks/shop/calm.rehearsal.yaml"
    code = run(["record", "shop/calm", "--mask", "owner_email", "--out", path, "--json"])
    told = capsys.readouterr()
    assert code == 0, told
    found = json.loads(told.out)
    assert (found["reads"], found["changes"], found["passes"]) == (2, 2, True)
    text = (here / path).read_text()
    assert "vector(0.25)" in text
    for hidden in (*SECRETS.values(), "@example.com"):
        assert hidden not in text
    assert run(["check"]) == 0, capsys.readouterr()
    assert run(["rehearse", path]) == 0, capsys.readouterr()
    capsys.readouterr()
    with psycopg.connect(postgres_dsn) as connection:  # nothing was written there
        assert connection.execute("SELECT DISTINCT status FROM jobs").fetchall() == [("running",)]
    (here / path).write_text(text.replace("0.25", "0.05"))
    assert run(["rehearse", path]) == 1, "another world is another plan"
