"""What the world answers is written down as a rehearsal that passes, with nothing secret in it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.contract.registry import load_registry
from engine.edges.config import load_config
from engine.edges.rehearsal import suite
from engine.edges.rehearsal.recording import record, written
from engine.edges.rehearsal.stage import clean_up
from engine.edges.wiring import Application, build
from tests.unit.edges.rehearsal.kit import BOOKS
from worlds.cluster import Cluster
from worlds.cluster.server import ClusterServer
from worlds.metrics import StandInPrometheus

CONFIG = {
    "rules": [],
    "playbooks": ["books"],
    "secrets": {"password": {"env": "RECORDED_PASSWORD"}},
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("recorded")
    cluster = Cluster()
    labels = {"app": "web"}
    cluster.load(
        [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "web", "namespace": "shop"},
                "spec": {
                    "replicas": 6,
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {"containers": [{"name": "web", "image": "web:1"}]},
                    },
                },
            }
        ]
    )
    server = ClusterServer(cluster, 0).start()
    text = 'errors{namespace="shop"} 3\n'
    with StandInPrometheus(lambda: text, interval=0.05) as prometheus:
        while prometheus.value("sum(errors)") is None:
            time.sleep(0.01)  # its first sample is a thread's
        connections = {
            "cluster": {"kind": "kubernetes", "server": server.url, "token": {"env": "TOKEN"}},
            "metrics": {"kind": "prometheus", "url": prometheus.url},
        }
        (folder / "stanch.yaml").write_text(json.dumps({**CONFIG, "connections": connections}))
        book = folder / "books" / "shop" / "scale.yaml"
        book.parent.mkdir(parents=True)
        book.write_text(BOOKS["shop/scale"].replace("sum(rate(errors[5m]))", "sum(errors)"))
        registry = load_registry()
        config = load_config(folder / "stanch.yaml", registry)
        yield build(config, registry=registry, environ={"TOKEN": "admin-token"})
    server.stop()
    clean_up()


def test_a_recorded_plan_plays_again(app: Application) -> None:
    rehearsal, document = record(app, "shop/scale", {})
    text = written(rehearsal)
    assert "admin-token" not in text
    assert rehearsal["world"]["metrics"] == [{"query": "sum(errors)", "value": 3.0}]
    assert [step.state for step in document.steps][:2] == ["read", "planned"]
    ground = suite.lay_ground(app.config, app.registry)
    result = suite.play_text(ground, text, Path("recorded.rehearsal.yaml"))
    assert result.ok, (result.error, result.misses)


def test_chosen_fields_are_masked(app: Application) -> None:
    rehearsal, _ = record(app, "shop/scale", {}, ["summary", "replicas"])
    (answer,) = rehearsal["world"]["cluster"]["answers"]
    assert answer["planned"]["before"] == {"spec.replicas": "masked"}
    assert "6" not in json.dumps(rehearsal["world"]["cluster"])
